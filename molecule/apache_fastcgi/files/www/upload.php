<?php
// Takes a picture as applications do: into a directory that it makes with all bits of the mode of the one above.
$above = __DIR__ . "/pictures";
is_dir($above) || mkdir($above);
$directory = $above . "/" . bin2hex(random_bytes(4));
$made = mkdir($directory, fileperms($above) & 07777);
$moved = move_uploaded_file($_FILES["picture"]["tmp_name"], "$directory/picture.png");
echo json_encode(["made" => $made, "moved" => $moved, "path" => "$directory/picture.png"]);
