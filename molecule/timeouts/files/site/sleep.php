<?php
require 'marks.inc';
sleep(MUCH);
echo 'done';
