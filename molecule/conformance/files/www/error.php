<?php
header("X-Page: of the site");
require __DIR__ . "/echo.php";
