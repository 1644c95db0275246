"""What the victim has: an application with secrets in it, under the modes that its host gives to files."""

from __future__ import annotations

import os
import time

from .ground import WHO, Ground

FILES = {
    "whoami.php": f"<?php {WHO} echo ' SECRET';",
    "pid.php": "<?php echo ' ', getmypid(), '.'; flush(); sleep(2);",
    "config.php": "<?php $password = 'SECRET';",
    "config.php.bak": "<?php $password = 'SECRET';",
    "private.php": "<?php define('OF_THE_VICTIM', 'SECRET');",
    "index.php": "<?php include __DIR__ . '/private.php'; echo 'page';",
    "denied.php": "<?php echo 'SECRET';",
    "notes.txt": "SECRET",
    "style.css": "p { color: teal; }",
    "resets.php": "<?php echo opcache_get_status()['opcache_statistics']['manual_restarts'];",
    "session.php": (
        "<?php session_start(); if (isset($_GET['in'])) $_SESSION['user'] = 'SECRET';"
        "echo 'user=', $_SESSION['user'] ?? 'nobody', ';';"
    ),
    "tmp.php": "<?php file_put_contents($kept = sys_get_temp_dir() . '/kept.txt', 'SECRET'); echo $kept;",
    "cache.php": "<?php @include sys_get_temp_dir() . '/cache.php';",
    ".htaccess": "<Files denied.php>\nRequire all denied\n</Files>\n",
    ".env": "SECRET",
    ".git/config": "SECRET",
    "data/upload.txt": "SECRET",
}
OF_THE_OWNER_ALONE = ("private.php",)


def settle(ground: Ground) -> None:
    """Put the victim's application in place."""
    root = ground.victim.root
    with ground.account(ground.victim.user):
        for path, text in FILES.items():
            whole = f"{root}/{path}"
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            with open(whole, "w", encoding="utf-8") as file:
                file.write(text.replace("SECRET", ground.secret))
            # the opcode cache takes nothing that is younger than two seconds
            os.utime(whole, (time.time() - 60, time.time() - 60))
        for path in OF_THE_OWNER_ALONE:
            os.chmod(f"{root}/{path}", 0o600)
        if ground.weak:
            os.chmod(f"{root}/data", 0o777)
