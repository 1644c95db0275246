<?php
// Says by which names a script knows itself.
echo json_encode([
    "ran_as" => posix_getpwuid(posix_geteuid())["name"],
    "exists" => is_file($_SERVER["SCRIPT_FILENAME"]),
    "this_file" => __FILE__,
    "directory" => getcwd(),
    "server" => $_SERVER,
    "first" => $first ?? null,
    "variables" => array_keys(get_defined_vars()),
]);
