<?php
// Says all that PHP was told about a request.
$body = file_get_contents("php://input");
echo json_encode([
    "ran_as" => posix_getpwuid(posix_geteuid())["name"],
    "server" => $_SERVER,
    "get" => $_GET,
    "post" => array_map(fn ($value) => is_string($value) && strlen($value) > 100 ? hash("sha256", $value) : $value, $_POST),
    "files" => array_map(fn ($file) => hash_file("sha256", $file["tmp_name"]), $_FILES),
    "body" => hash("sha256", $body),
    "setting" => ini_get("user_agent"),
    "http_proxy" => getenv("HTTP_PROXY"),
], JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE);
