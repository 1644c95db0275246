<?php echo "PHP of ", posix_getpwuid(posix_geteuid())["name"];
