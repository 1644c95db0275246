<?php
// Answers in the way that it is asked to.
switch ($_GET["what"]) {
    case "code":
        http_response_code((int) $_GET["code"]);
        break;
    case "headers":
        foreach ($_GET["headers"] as $header) {
            header($header, false);
        }
        break;
    case "nothing":
        exit;
    case "fatal":
        no_such_function();
    case "late fatal":
        echo "the first words";
        ob_end_flush();
        flush();
        no_such_function();
    case "long":
        for ($i = 0; $i < 20; $i++) {
            echo str_repeat("x", 1 << 20);
        }
        exit;
    case "stream":
        ob_end_flush();
        foreach (["first\n", "second\n"] as $line) {
            echo $line;
            flush();
            sleep(2);
        }
        exit;
    case "talk":
        // until nobody listens, and then notes whether that was so
        ob_end_flush();
        register_shutdown_function(fn () => file_put_contents($_GET["note"], connection_aborted() ? "gone" : "there"));
        for ($i = 0; $i < 120; $i++) {
            echo "still here\n";
            flush();
            usleep(50000);
        }
        exit;
}
echo "the script's own words, and so many of them that no server makes a difference because they are few";
