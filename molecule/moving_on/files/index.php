<?php
// Says who answers, and whose settings it has.
echo json_encode([
    "user" => posix_getpwuid(posix_geteuid())["name"],
    "unit" => basename(trim(file_get_contents("/proc/self/cgroup"))),
    "script" => $_SERVER["SCRIPT_FILENAME"],
    "max_execution_time" => ini_get("max_execution_time"),
    "memory_limit" => ini_get("memory_limit"),
    "post_max_size" => ini_get("post_max_size"),
], JSON_UNESCAPED_SLASHES);
