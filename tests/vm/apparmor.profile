# Lets everything be done but one thing, by which a test tells that it is in force.
abi <abi/3.0>,
profile minirunc-test flags=(attach_disconnected,mediate_deleted) {
  file,
  capability,
  network,
  mount,
  signal,
  ptrace,
  deny /tmp/forbidden w,
}
