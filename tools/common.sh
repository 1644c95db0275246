# What the tools share. Everything made in Docker carries the label, so that `make clean` finds it.
# shellcheck shell=bash disable=SC2034
label=project=webhosting.fastcgi

# The place where systemd in a container finds cgroup v2, whatever the mode of the machine.
cgroup2() {
  local path
  for path in /sys/fs/cgroup /sys/fs/cgroup/unified; do
    if [[ $(stat --file-system --format=%T "$path" 2>/dev/null) == cgroup2fs ]]; then
      echo "$path"
      return
    fi
  done
  echo "This machine mounts no cgroup v2 under /sys/fs/cgroup; boot it with systemd.unified_cgroup_hierarchy=1." >&2
  return 1
}
