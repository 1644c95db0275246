<?php
require 'marks.inc';
echo strlen(file_get_contents('php://input')), ' done';
