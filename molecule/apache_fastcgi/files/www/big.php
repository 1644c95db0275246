<?php
for ($i = 0; $i < 20; $i++) {
    echo str_repeat("x", 1 << 20);
}
