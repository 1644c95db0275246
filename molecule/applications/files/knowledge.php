<?php
// The settings of this wiki that its installer does not ask for.
$wgArticlePath = '/wiki/$1';
$wgEnableUploads = true;
