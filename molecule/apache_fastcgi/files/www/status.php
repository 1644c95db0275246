<?php
http_response_code((int) $_GET["code"]);
echo "the script's own words";
