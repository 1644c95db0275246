<?php header("Location: /elsewhere?a=1&b=2");
