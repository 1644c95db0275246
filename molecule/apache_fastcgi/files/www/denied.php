<?php echo "denied to ", posix_getpwuid(posix_geteuid())["name"];
