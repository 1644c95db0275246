<?php
// Works for 30 ms. It does not sleep: a master that stops wakes its workers, and sleep() returns early.
$until = microtime(true) + 0.03;
while (microtime(true) < $until);
header('Content-Type: application/json');
echo json_encode([
    'id' => $_GET['id'],
    'posted' => md5(file_get_contents('php://input')),
    'uid' => posix_geteuid(),
    'pid' => getmypid(),
    'master' => posix_getppid(),
]);
