<?php
require 'marks.inc';
usleep(300000);
echo 'done';
