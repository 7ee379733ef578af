use crate::store::*;
use inbetweenies_core::{hash::Digest, id::ReplicaId, store::*};
use rocksdb::{WriteBatch, WriteOptions};
use std::time::Instant;
fn rss() -> String {
    std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .filter(|l| l.starts_with("VmRSS") || l.starts_with("RssAnon"))
        .collect::<Vec<_>>()
        .join(" ")
}
fn opts() -> StoreOptions {
    StoreOptions {
        init: true,
        cache_bytes: 16 << 20,
        write_buffer_bytes: 32 << 20,
        headroom_bytes: 64 << 20,
    }
}
fn rnd(x: u64) -> u64 {
    let mut z = x.wrapping_mul(0x9E3779B97F4A7C15);
    z ^= z >> 31;
    z.wrapping_mul(0xBF58476D1CE4E5B9)
}
fn value(i: u64) -> Vec<u8> {
    let mut v = vec![0u8; 300];
    for (k, c) in v.chunks_mut(8).enumerate() {
        let b = rnd(i + (k as u64 / 3)).to_be_bytes();
        let n = c.len();
        c.copy_from_slice(&b[..n]);
    }
    v
}
#[test]
#[ignore]
fn speed() {
    let base = std::env::var("BENCH_DIR").unwrap_or("/tmp".into());
    for (batch, rounds) in [(1usize, 500usize),(100, 100), (1000, 16)] {
        let dir = tempfile::tempdir_in(&base).unwrap();
        let mut s = RocksStore::open(dir.path(), &opts()).ok().unwrap();
        let mut sync = WriteOptions::default();
        sync.set_sync(true);
        let mut i = 0u64;
        let mut fill = |n: usize| -> Vec<Write> {
            (0..n)
                .map(|_| {
                    i += 1;
                    let mut k = vec![8];
                    k.extend(rnd(i + std::process::id() as u64 * 77777777).to_be_bytes());
                    k.extend([7; 32]);
                    (Family::Records, k, Some(value(i)))
                })
                .collect()
        };
        let (mut ta, mut tb) = (vec![], vec![]);
        for n in 0..rounds * 9 {
            let c = Commit {
                number: n as u64,
                writes: fill(batch),
                note: std::env::var("NONOTE").is_err().then(|| Note {
                    replica: ReplicaId([1; 16]),
                    sequence: n as u64,
                    hash: Digest([3; 32]),
                }),
                high_water: (std::env::var("HW").is_ok() && n % (1000 / batch) == 0).then(|| HighWater {
                    replica: ReplicaId([1; 16]),
                    lease_end: 1,
                    last: None,
                    clean: false,
                }),
            };
            let w = fill(batch);
            let r = s.reader();
            let db = &r.0.db;
            let cf = db.cf_handle("records").unwrap();
            let mut raw = || {
                let t = Instant::now();
                let mut b = WriteBatch::default();
                for (_, k, v) in &w {
                    b.put_cf(cf, k, v.as_ref().unwrap());
                }
                db.write_opt(b, &sync).unwrap();
                tb.push(t.elapsed().as_secs_f64() * 1e6);
            };
            if n % 8 < 4 {
                raw()
            }
            let t = Instant::now();
            s.room_for(batch * 300).unwrap();
            if std::env::var("AA").is_ok() { let mut b=WriteBatch::default(); for (_,k,v) in &c.writes { b.put_cf(cf,k,v.as_ref().unwrap()); } db.write_opt(b,&sync).unwrap(); } else { s.commit(&c).unwrap(); }
            ta.push(t.elapsed().as_secs_f64() * 1e6);
            if n % 8 >= 4 {
                raw()
            }
        }
        for r in 0..8 { let mean=|v:&Vec<f64>| { let x: Vec<f64> = v.iter().skip(r).step_by(8).copied().collect(); x.iter().sum::<f64>()/x.len() as f64 }; print!("[{r}: {:.0} {:.0}] ", mean(&ta), mean(&tb)); } println!();
        let (sa, sb) = (ta.iter().sum::<f64>(), tb.iter().sum::<f64>());
        ta.sort_by(f64::total_cmp);
        tb.sort_by(f64::total_cmp);
        let m = ta.len() / 2; for v in [&ta,&tb] { println!("   n {} p50 {:.0} p90 {:.0} p99 {:.0} top {:?}", v.len(), v[m], v[m*9/5], v[v.len()*99/100], v[v.len()-8..].iter().map(|x| *x as u64).collect::<Vec<_>>()); }
        println!(
            "{base} batch {batch}: ours {:.0}/s median {:.0} us; raw {:.0}/s median {:.0} us; sums ratio {:.3} median ratio {:.3}",
            1e6 * ta.len() as f64 / sa,
            ta[m],
            1e6 * tb.len() as f64 / sb,
            tb[m],
            sa / sb,
            ta[m] / tb[m]
        );
        drop(s);
    }
}
#[test]
#[ignore]
fn room_cost() {
    let dir = tempfile::tempdir().unwrap();
    let s = RocksStore::open(dir.path(), &opts()).ok().unwrap();
    let t = Instant::now();
    for _ in 0..1_000_000 {
        s.room_for(300).unwrap();
    }
    println!("room_for {:?}", t.elapsed() / 1_000_000);
    let t = Instant::now();
    for _ in 0..100_000 {
        drop(s.snapshot());
    }
    println!("snapshot {:?}", t.elapsed() / 100_000);
}
#[test]
#[ignore]
fn memory() {
    let dir = tempfile::tempdir().unwrap();
    if let Ok(d)=std::env::var("FRESH") {
        let t=Instant::now(); let s = RocksStore::open(std::path::Path::new(&d), &opts()).ok().unwrap(); println!("open {:?} {}", t.elapsed(), rss());
        let sn=s.snapshot(); let t=Instant::now(); for x in 0..100_000u64 { let mut k=vec![8]; k.extend(rnd(x*7).to_be_bytes()); sn.get(Family::Ids,&k).unwrap(); } println!("get {:?} {}", t.elapsed()/100_000, rss());
        let t=Instant::now(); println!("{:?} {:?} {}", verify(&s.reader()), t.elapsed(), rss()); return;
    }
    println!("start {}", rss());
    let t = Instant::now();
    let mut s = RocksStore::open(dir.path(), &opts()).ok().unwrap();
    println!("open new {:?} {}", t.elapsed(), rss());
    let t = Instant::now();
    for i in 0..std::env::var("K").map_or(1000u64, |k| k.parse().unwrap()) {
        let mut w: Vec<Write> = vec![(Family::Meta, b"hub".to_vec(), Some(vec![1; 100]))];
        for j in 0..1000u64 {
            let x = i * 1000 + j;
            let mut k = vec![8];
            k.extend(rnd(x).to_be_bytes());
            w.push((Family::Ids, k.clone(), Some(vec![x as u8; 90])));
            w.push((
                Family::Log,
                x.to_be_bytes().to_vec(),
                Some(value(x)[..150].to_vec()),
            ));
            k.extend([7; 32]);
            w.push((Family::Records, k, Some(value(x))));
        }
        s.room_for(600_000).unwrap();
        s.commit(&Commit {
            writes: w,
            ..Commit::default()
        })
        .unwrap();
    }
    println!("1M records with ids and log {:?} {}", t.elapsed(), rss());
    std::thread::sleep(std::time::Duration::from_secs(3));
    println!("idle {}", rss());
    drop(s);
    println!("closed {}", rss());
    let t = Instant::now();
    let s = RocksStore::open(dir.path(), &opts()).ok().unwrap();
    println!("open {:?} {}", t.elapsed(), rss());
    let t = Instant::now();
    let sn = s.snapshot();
    let mut hit = 0;
    for x in 0..100_000u64 {
        let mut k = vec![8];
        k.extend(rnd(x * 7).to_be_bytes());
        hit += sn.get(Family::Ids, &k).unwrap().is_some() as u32;
    }
    println!("get {:?} hit {hit} {}", t.elapsed() / 100_000, rss());
    let t = Instant::now();
    println!("{:?} {:?} {}", verify(&s.reader()), t.elapsed(), rss());
    println!(
        "{}",
        String::from_utf8_lossy(
            &std::process::Command::new("sh")
                .arg("-c")
                .arg(format!("ls {0}/db | wc -l; du -sh {0}", dir.path().display()))
                .output()
                .unwrap()
                .stdout
        )
    );
    if std::env::var("KEEP").is_ok() { println!("kept {}", dir.keep().display()); }
}
