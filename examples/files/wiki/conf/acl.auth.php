# acl.auth.php
# <?php exit()?>
# Don't modify the lines above
#
# Page or namespace, user or @group, permission: 1 reads, 8 reads, edits, creates and uploads.
*               @ALL          1
*               @user         8
