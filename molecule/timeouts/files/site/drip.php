<?php
require 'marks.inc';
for ($until = microtime(true) + MUCH; microtime(true) < $until; usleep(500000)) {
    echo '.';
    if (ob_get_level()) {
        ob_flush();
    }
    flush();
}
echo 'done';
