<?php
// A front controller: every path that is no file ends here, without a rewrite rule.
//   /any/path      answers with the path and with the name that the browser logged in under
//   /sleep/<n>     sleeps for n seconds: longer than the site's limits, and Apache says what it says
$path = rawurldecode((string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH));
if (preg_match('~^/sleep/(\d{1,3})$~', $path, $match)) {
    sleep((int) $match[1]);
}

header('Content-Type: application/json');
echo json_encode([
    'site' => 'pretty',
    'path' => $path,
    'script' => $_SERVER['SCRIPT_NAME'],
    'login' => $_SERVER['PHP_AUTH_USER'] ?? null,
], JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE), "\n";
