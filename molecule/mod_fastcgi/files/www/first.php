<?php
// What a site has run before each of its scripts.
$first = "was here first";
