<?php
require 'marks.inc';
for ($until = microtime(true) + MUCH; microtime(true) < $until;);
echo 'done';
