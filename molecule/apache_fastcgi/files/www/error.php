<?php echo "PHP's own page for ", $_SERVER["REDIRECT_STATUS"], " at ", $_SERVER["REDIRECT_URL"];
