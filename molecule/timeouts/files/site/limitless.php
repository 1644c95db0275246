<?php
set_time_limit(0);
require 'marks.inc';
for ($until = microtime(true) + MUCH; microtime(true) < $until;);
echo 'done';
