//! The names of processes.

/// Creates a name that is unique in the platform. It contains the program, the machine, the process id and a random
/// number, because processes in containers often have the same process id.
pub(crate) fn process_name(program: &str) -> String {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{program}-{machine}-{}-{:04x}", std::process::id(), rand::random::<u16>())
}
