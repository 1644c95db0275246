<?php
header('ETag: "one"');
echo "the whole body";
