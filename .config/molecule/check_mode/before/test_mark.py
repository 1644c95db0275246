"""Before check mode: mark the moment. Molecule's own hook for this, side_effect, belongs to the scenarios."""


def test_mark_the_moment(host):
    # While systemd starts it writes files of its own, and at first not even its bus is there to answer.
    host.check_output(
        "timeout 60 sh -c 'until systemctl is-system-running --wait 2>/dev/null | grep -qx running;"
        " do sleep 0.2; done'"
    )
    # Ansible's own directory comes first: where / is an overlay, making it touches / as well.
    host.check_output("mkdir -p /root/.ansible/tmp && touch /run/before-check")
