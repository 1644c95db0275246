<?php
// Runs ahead of every page of the demo's sites (auto_prepend_file), so that each answer says
// which account rendered it. For a demonstration only: nobody outside needs to know it.
(static function (): void {
    $uid = posix_geteuid();
    header(sprintf('X-PHP-Runs-As: %d %s', $uid, posix_getpwuid($uid)['name'] ?? '?'));
})();
