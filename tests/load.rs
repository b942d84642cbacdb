//! Thousands of members while the server is killed or replaced, or joins all at once. scripts/soak
//! does more.

use std::time::Duration;

use peerstar_load::server::Server;
use peerstar_load::{overlap, restart, run};

const SERVER: &str = env!("CARGO_BIN_EXE_peerstar");
const NONE: (usize, Vec<String>) = (0, Vec::new());

#[test]
fn two_thousand_members_keep_their_hosts_when_the_server_is_killed_and_return_soon() {
    run(async {
        let server = Server::start(SERVER, &[])?;
        let swarm = restart::settled(&server, 200, 10, 1).await?;
        let (server, report) = restart::restart(server, &swarm).await?;
        assert_eq!(report.faults, NONE);
        assert!(report.kept * 100 >= report.pages * 99, "{report}");
        assert!(report.back.most() < Duration::from_secs(10), "{report}");
        assert_eq!(server.complaints(), [""; 0]);
        Ok(())
    })
    .expect("it can be done");
}

/// A crowd of 15,000 is measured by `load crowd`.
#[test]
fn a_crowd_joins_at_the_first_try() {
    run(async {
        let server = Server::start(SERVER, &[])?;
        let (_swarm, report) = restart::crowd(&server, 100, 3000, 1).await?;
        assert_eq!((&report.faults, report.failed_dials), (&NONE, 0), "{report}");
        assert_eq!(server.complaints(), [""; 0]);
        Ok(())
    })
    .expect("it can be done");
}

#[test]
fn pages_that_a_deploy_split_heal_and_the_others_keep_their_hosts() {
    run(async {
        let server = Server::start(SERVER, &[])?;
        let report = overlap::run(server, 40, 10, Duration::from_millis(500), 1).await?;
        assert_eq!(report.faults, NONE);
        assert_eq!((report.kept, report.split), (20, 20), "{report}");
        Ok(())
    })
    .expect("it can be done");
}
