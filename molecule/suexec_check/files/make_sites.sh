# Sites as an administrator would set them up: good and spoilt ones, one vhost each.
a2enmod --quiet fcgid suexec
for site in good writable closed uid bare unnamed; do
  directory=/var/www/wrapper/$site
  mkdir -p "$directory"
  printf '#!/bin/sh\nexport PHP_FCGI_CHILDREN=0\nexec /usr/bin/php-cgi\n' >"$directory/fcgid"
  chmod 0755 "$directory/fcgid"
  chown -R alice:alice "$directory"
  owner='SuexecUserGroup alice alice'
  case $site in
    writable) chmod 0775 "$directory" ;;
    closed) chmod 0700 "$directory" ;;
    uid) owner='SuexecUserGroup #54321 alice' ;;
    unnamed) owner='# nobody in particular' ;;
    bare) printf 'exec /usr/bin/php-cgi\n' >"$directory/fcgid" ;;
  esac
  cat >"/etc/apache2/sites-enabled/$site.conf" <<VHOST
<VirtualHost *:80>
  ServerName $site.test
  DocumentRoot /var/www/html
  $owner
  <FilesMatch "\.php$">
    SetHandler fcgid-script
  </FilesMatch>
  <Directory /var/www/html>
    Options +ExecCGI
    FcgidWrapper $directory/fcgid .php
  </Directory>
</VirtualHost>
VHOST
done
echo '<?php echo posix_geteuid();' >/var/www/html/uid.php
systemctl restart apache2
