<?php
// The first settings of this wiki. From now on the file is the wiki's own.
$conf['title'] = 'Demo wiki';
$conf['savedir'] = '/srv/wiki/data';
$conf['dmode'] = 0750;
$conf['fmode'] = 0640;
// Everybody reads; whoever registers, with a password of their own choice, may edit.
$conf['useacl'] = 1;
$conf['autopasswd'] = 0;
// A page's address is its name; the rules of mod_rewrite are in the list of sites.
$conf['userewrite'] = 1;
