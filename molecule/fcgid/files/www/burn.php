<?php
// Computes without end, and would take all the time in the world for it.
set_time_limit(0);
while (true);
