<?php
// Says what PHP runs with, and what of it a script can change.
echo json_encode([
    "pid" => getmypid(),
    "api" => php_sapi_name(),
    "umask" => umask(),
    "memory_limit" => ini_get("memory_limit"),
    "set_memory_limit" => ini_set("memory_limit", "77M") !== false,
    "max_execution_time" => ini_get("max_execution_time"),
    "set_max_execution_time" => ini_set("max_execution_time", "600") !== false,
    "set_time_limit" => set_time_limit(600),
    "save_path" => session_save_path(),
    "session" => session_start(),
    "temporary" => dirname(tempnam("", "")),
    "fork" => function_exists("pcntl_fork"),
    "loaded" => php_ini_loaded_file(),
]);
