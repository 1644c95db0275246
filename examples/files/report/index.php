<?php
// What a site can say about the PHP that serves it.
$uid = posix_geteuid();

header('Content-Type: application/json');
echo json_encode([
    'uid' => $uid,
    'user' => posix_getpwuid($uid)['name'] ?? null,
    'groups' => posix_getgroups(),
    'sapi' => PHP_SAPI,
    'php_version' => PHP_VERSION,
    'ini' => [
        'max_execution_time' => ini_get('max_execution_time'),
        'memory_limit' => ini_get('memory_limit'),
        'session.save_path' => ini_get('session.save_path'),
        'upload_tmp_dir' => ini_get('upload_tmp_dir'),
    ],
    'server' => $_SERVER,
], JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE), "\n";
