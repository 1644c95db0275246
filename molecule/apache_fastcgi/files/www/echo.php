<?php
// Says all that PHP was told about a request.
$body = file_get_contents("php://input");
echo json_encode([
    "ran_as" => posix_getpwuid(posix_geteuid())["name"],
    "server" => $_SERVER,
    "environment" => getenv(),
    "get" => $_GET,
    "post" => $_POST,
    "body_sha256" => hash("sha256", $body),
    "files" => array_map(fn ($file) => hash_file("sha256", $file["tmp_name"]), $_FILES),
], JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);
