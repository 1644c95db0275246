<?php echo "index of ", posix_getpwuid(posix_geteuid())["name"];
