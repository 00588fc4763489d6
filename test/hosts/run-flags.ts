/** What a container needs so that systemd boots in it and dockerd runs in it. Each capability was found missing once. */

const capabilities = [
  "SYS_ADMIN",
  "NET_ADMIN",
  "SYS_PTRACE",
  "MKNOD",
  "NET_RAW",
  "AUDIT_WRITE",
  "SYS_CHROOT",
  "SETPCAP",
  "DAC_READ_SEARCH",
  "SYSLOG",
];

/** `--privileged` would say most of this in one word, but fails on machines that lack a capability themselves. */
export const runFlags: readonly string[] = [
  ...capabilities.flatMap((capability) => ["--cap-add", capability]),
  ...["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"].flatMap((option) => [
    "--security-opt",
    option,
  ]),
  ...["--device-cgroup-rule", "a *:* rwm"],
  ...["--tmpfs", "/run", "--tmpfs", "/run/lock"],
  ...["--volume", "/sys/fs/cgroup:/sys/fs/cgroup", "--cgroupns", "host"],
  ...["--env", "container=docker", "--stop-signal", "SIGRTMIN+3"],
];
