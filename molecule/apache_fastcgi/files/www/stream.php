<?php
ob_end_flush();
foreach (["first", "second"] as $line) {
    echo "$line\n";
    flush();
    sleep(2);
}
