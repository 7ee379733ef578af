//! How RocksDB is set up: small enough to idle in a few dozen MB, and never trading safety for speed.

use inbetweenies_core::store::Family;
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode,
    Env, LogLevel, Options,
};

/// How a store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Whether a folder that no hub has written to may be made one. One that is a hub's already is just opened, with
    /// no rows where they are gone: the marks still tell that there were some.
    pub init: bool,
    /// Memory for blocks that were read, with their indexes and filters.
    pub cache_bytes: usize,
    /// Memory for rows that are not in tables yet; twice as much log is read again after a crash, at most.
    pub write_buffer_bytes: usize,
    /// Bytes of the disk that are kept back.
    pub headroom_bytes: u64,
}

/// A family that has filled this share of the buffer is written out while it fills the next; what idles in memory
/// stays well below the whole.
const MEMTABLES_IN_BUFFER: usize = 4;
/// 1 % false positives, as RocksDB's own advice has it.
const BLOOM_BITS_PER_KEY: f64 = 10.0;
/// Of a memtable's size, for its filter.
const MEMTABLE_BLOOM_RATIO: f64 = 0.02;
/// One for flushing and one for compacting: the boards in mind have two cores or four.
const BACKGROUND_JOBS: i32 = 2;
/// File handles: a process may often have no more than 1,024.
const OPEN_FILES_MAX: i32 = 512;
/// RocksDB's own journal, for people: the present file and the one before it.
const LOG_FILES_MAX: usize = 2;
const LOG_FILE_BYTES_MAX: usize = 1 << 20;
/// Room taken ahead for the manifest; RocksDB's 4 MiB is more than most homes have in rows.
const MANIFEST_AHEAD_BYTES: usize = 64 << 10;

/// Options of the database as a whole.
pub(super) fn database(options: &StoreOptions) -> Result<Options, rocksdb::Error> {
    let mut db = Options::default();
    db.create_if_missing(options.init);
    // A version may bring families of its own.
    db.create_missing_column_families(true);

    // After a power cut the log may end in a torn record, which is no damage. Damage before its end would look alike;
    // the marks beside the database tell the two apart, and whole logs that are missing or short are found here.
    db.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    db.set_track_and_verify_wals_in_manifest(true);
    db.set_paranoid_checks(true);
    // All families go from log to table together. One log carries them all, so this is not needed to recover from a
    // power cut; but where a log is damaged before its end, tables that are ahead of it would keep the database from
    // opening, and with this it opens at the instant before the damage, which the marks then tell of.
    db.set_atomic_flush(true);
    db.set_recycle_log_file_num(0);
    db.set_allow_mmap_reads(false);
    db.set_allow_mmap_writes(false);
    db.set_unordered_write(false);
    db.set_manual_wal_flush(false);

    db.set_db_write_buffer_size(options.write_buffer_bytes);
    // This is what is read again after a crash.
    db.set_max_total_wal_size(2 * options.write_buffer_bytes as u64);
    db.set_max_background_jobs(BACKGROUND_JOBS);
    let mut env = Env::new()?;
    // Compaction waits for whoever is served.
    env.lower_thread_pool_cpu_priority();
    db.set_env(&env);
    db.set_max_open_files(OPEN_FILES_MAX);
    db.set_manifest_preallocation_size(MANIFEST_AHEAD_BYTES);

    db.set_keep_log_file_num(LOG_FILES_MAX);
    db.set_max_log_file_size(LOG_FILE_BYTES_MAX);
    db.set_log_level(LogLevel::Warn);
    // A hub that has nothing to do does nothing.
    db.set_stats_dump_period_sec(0);
    db.set_stats_persist_period_sec(0);
    Ok(db)
}

/// All families, with one cache.
pub(super) fn families(options: &StoreOptions) -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(options.cache_bytes);
    Family::ALL
        .iter()
        .map(|family| ColumnFamilyDescriptor::new(family.name(), one_family(*family, options, &cache)))
        .collect()
}

fn one_family(family: Family, options: &StoreOptions, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    // In the cache, so that the cache's size bounds them too; in parts, since a whole one may exceed a shard of it.
    table.set_cache_index_and_filter_blocks(true);
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_pin_top_level_index_and_filter(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // Whether a record or an id is known is asked for everything that arrives, and the answer is often no. The others
    // are scanned, or asked for what is there.
    if matches!(family, Family::Records | Family::Ids) {
        table.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
        table.set_whole_key_filtering(true);
    }

    let mut cf = Options::default();
    cf.set_block_based_table_factory(&table);
    cf.set_compression_type(DBCompressionType::Lz4);
    cf.set_write_buffer_size(options.write_buffer_bytes / MEMTABLES_IN_BUFFER);
    if matches!(family, Family::Records | Family::Ids) {
        // The same question, asked of what has not left memory yet: a filter answers most of it.
        cf.set_memtable_whole_key_filtering(true);
        cf.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM_RATIO);
    }
    cf
}
