<?php
// Talks for a minute.
ob_end_flush();
for ($i = 0; $i < 1200; $i++) {
    echo "still here\n";
    flush();
    usleep(50000);
}
