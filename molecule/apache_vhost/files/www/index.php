<?php
echo json_encode([
    "ran_as" => posix_getpwuid(posix_geteuid())["name"],
    "server" => $_SERVER,
    "get" => $_GET,
], JSON_THROW_ON_ERROR);
