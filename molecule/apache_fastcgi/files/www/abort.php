<?php
// Talks until nobody listens, and then notes when that was.
ob_end_flush();
register_shutdown_function(fn () => file_put_contents(__DIR__ . "/aborted.txt", connection_aborted()));
for ($i = 0; $i < ($_GET["seconds"] ?? 10) * 20; $i++) {
    echo "still here\n";
    flush();
    usleep(50000);
}
