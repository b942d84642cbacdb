use peerstar_load::bench::contender::{Contender, Places};
use peerstar_load::bench::crowd::Crowd;
use peerstar_load::bench::death::Throne;
use std::time::Duration;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let members: usize = args[3].parse().unwrap();
    let deaths: usize = args[4].parse().unwrap();
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let mut all = Vec::new();
    for path in &args[1..3] {
        let server = Contender::Peerstar.start(&Places { peerstar: path.into(), cache: "".into() }).unwrap();
        let mut crowd = Crowd::new(server.address).unwrap();
        let throne = Throne::set(&mut crowd, Contender::Peerstar, members).unwrap();
        all.push((server, crowd, throne, Vec::new(), Vec::new()));
    }
    for n in 0..deaths {
        for which in [n % 2, 1 - n % 2] {
            let (_, crowd, throne, hosts, alls) = &mut all[which];
            let death = throne.death(crowd).unwrap();
            hosts.push(death.host.as_secs_f64() * 1e3);
            alls.push(death.all.as_secs_f64() * 1e3);
            while crowd.turn(Duration::from_millis(30), |_, _, _| Ok(())).unwrap() {}
        }
    }
    for (n, (_, _, _, hosts, alls)) in all.iter_mut().enumerate() {
        hosts.sort_by(f64::total_cmp);
        alls.sort_by(f64::total_cmp);
        let q = |v: &[f64]| {
            format!(
                "p10 {:.2} p25 {:.2} p50 {:.2} p75 {:.2} p90 {:.2}",
                v[v.len() / 10],
                v[v.len() / 4],
                v[v.len() / 2],
                v[v.len() * 3 / 4],
                v[v.len() * 9 / 10]
            )
        };
        println!("{} {members}: host {} | all {}", ["A", "B"][n], q(hosts), q(alls));
    }
}
