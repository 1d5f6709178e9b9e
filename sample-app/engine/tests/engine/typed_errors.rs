//! Hand-picked corner cases of lists, hashes and values of any type, each beside a real Redis.

use kv_engine::tables;

use crate::errors::converse;
use crate::redis::Redis;
use crate::server::Local;

/// As those in `errors`: bytes as they are, one conversation each.
const LISTS: &[&[u8]] = &[
    b"rpush l a b c\r\nlpop l x\r\nlpop l -1\r\nlpop l 0\r\nlpop l 1 2\r\nlpop nope x\r\nlpop l 9\r\nlpop l\r\nlpop l 1\r\nquit\r\n",
    b"hello 3\r\nlpop nope\r\nrpop nope 1\r\nrpush l a\r\nlpop l 9223372036854775807\r\nquit\r\n",
    b"set s 1\r\nlpop s x\r\nlpop s 1\r\nlpop s\r\nrpush s\r\nlpush s a\r\nrpushx s a\r\nllen s\r\nquit\r\n",
    b"lpushx l a\r\nrpushx l a\r\nexists l\r\nrpush l a\r\nlpushx l b c\r\nrpushx l d e\r\nlrange l 0 -1\r\nquit\r\n",
    b"lindex nope x\r\nrpush l a b\r\nlindex l x\r\nlindex l -1\r\nlindex l -3\r\nlindex l 2\r\nset s 1\r\nlindex s x\r\nquit\r\n",
    b"lset nope x x\r\nrpush l a b\r\nlset l x x\r\nlset l 2 x\r\nlset l -3 x\r\nlset l -2 y\r\nlrange l 0 -1\r\nset s 1\r\nlset s x x\r\nquit\r\n",
    b"lrange nope x 1\r\nlrange nope 0 x\r\nlrange nope 0 1\r\nset s 1\r\nlrange s x 1\r\nlrange s 0 1\r\nrpush l a b c\r\nlrange l 1 0\r\nlrange l -9223372036854775808 9223372036854775807\r\nlrange l 3 5\r\nquit\r\n",
    b"ltrim nope 0 1\r\nltrim nope 0 x\r\nset s 1\r\nltrim s x 1\r\nltrim s 0 1\r\nrpush l a b c d\r\nltrim l 1 -2\r\nlrange l 0 -1\r\nltrim l 5 9\r\nexists l\r\nquit\r\n",
    b"linsert nope x a b\r\nlinsert nope before a b\r\nrpush l a b a\r\nlinsert l x a b\r\nlinsert l AFTER a new\r\nlinsert l before z new\r\nlinsert l before b new\r\nlrange l 0 -1\r\nset s 1\r\nlinsert s after a b\r\nquit\r\n",
    b"lrem nope x a\r\nlrem nope 0 a\r\nset s 1\r\nlrem s x a\r\nlrem s 0 a\r\nrpush l a b a c a\r\nlrem l -1 a\r\nlrem l 1 a\r\nlrange l 0 -1\r\nlrem l -9223372036854775808 a\r\nlrem l 9223372036854775807 z\r\nlrem l 0 b\r\nlrem l 0 c\r\nexists l\r\nquit\r\n",
    b"lpos nope a\r\nlpos nope a count 0\r\nlpos nope a rank 0\r\nset s 1\r\nlpos s a rank 0\r\nlpos s a\r\nquit\r\n",
    b"rpush l a b c 1 2 3 c c\r\nlpos l c\r\nlpos l c rank 2\r\nlpos l c rank -1\r\nlpos l c count 2\r\nlpos l c count 0 rank -1\r\nlpos l z\r\nlpos l z count 0\r\nlpos l c rank 4\r\nlpos l c rank -3 count 2\r\nquit\r\n",
    b"rpush l a b c c c\r\nlpos l c maxlen 2\r\nlpos l c maxlen 3\r\nlpos l c rank -1 maxlen 1 count 0\r\nlpos l a rank -1 maxlen 4\r\nlpos l a maxlen 0 count 0\r\nquit\r\n",
    b"rpush l a\r\nlpos l a rank\r\nlpos l a rank x\r\nlpos l a count -1\r\nlpos l a count x\r\nlpos l a maxlen -1\r\nlpos l a nope 1\r\nlpos l a rank 1 rank 2\r\nlpos l a rank -9223372036854775808\r\nlpos l a rank 9223372036854775807\r\nlpos l a rank -9223372036854775807\r\nquit\r\n",
    b"rpush l a a a\r\nlpos l a rank -9223372036854775808 count 2\r\nlpos l a rank 9223372036854775807 count 9223372036854775807\r\nquit\r\n",
    b"lmove nope s left up\r\nset s 1\r\nlmove nope s left left\r\nrpush l a b c\r\nlmove l s left left\r\nlmove s l left left\r\nlmove s nope x left\r\nlmove l m LEFT right\r\nlmove l l left RIGHT\r\nlmove l l left left\r\nlmove l l right right\r\nlmove l l right left\r\nlrange l 0 -1\r\nlrange m 0 -1\r\nquit\r\n",
    b"rpush l a\r\nlmove l l left right\r\nlmove l l right right\r\nrpoplpush l l\r\nrpoplpush l m\r\nexists l m\r\nrpoplpush nope m\r\nset s 1\r\nrpoplpush m s\r\nrpoplpush s m\r\nlmove m s right\r\nquit\r\n",
    b"rpush l a\r\nset s 1\r\nrpoplpush l s\r\nlrange l 0 -1\r\npexpireat l 9000000000000\r\nrpush l b\r\npexpiretime l\r\nlmove l m left left\r\npexpiretime m\r\nrpoplpush l m\r\nexists l\r\nquit\r\n",
];

const HASHES: &[&[u8]] = &[
    b"hset h a\r\nhset h a 1 b\r\nhmset h a 1 b\r\nset s 1\r\nhset s a\r\nhset s a 1\r\nhset h a 1 a 2 b 3\r\nhset h a 9 c 4\r\nhmset h d 1 d 2\r\nhlen h\r\nhget h a\r\nhget h d\r\nquit\r\n",
    b"hsetnx h f 1\r\nhsetnx h f 2\r\nhget h f\r\nset s 1\r\nhsetnx s f 1\r\nhsetnx h f\r\nhsetnx h f 1 g 2\r\nquit\r\n",
    b"hget nope f\r\nhmget nope f g\r\nhset h f 1\r\nhmget h g f f\r\nhget h g\r\nset s 1\r\nhmget s f\r\nhget s f\r\nquit\r\n",
    b"hello 3\r\nhget nope f\r\nhmget nope f\r\nhgetall nope\r\nhkeys nope\r\nhvals nope\r\nhset h f 1\r\nhgetall h\r\nhkeys h\r\nhvals h\r\nhrandfield h 5 withvalues\r\nhrandfield h -2 withvalues\r\nhrandfield nope\r\nhrandfield nope 1\r\nquit\r\n",
    b"hgetall nope\r\nhset h f 1\r\nhgetall h\r\nhrandfield h 5 withvalues\r\nhrandfield h -2 withvalues\r\nhrandfield h 0\r\nhrandfield h\r\nquit\r\n",
    b"hset h f 1 g 2\r\nhdel h f f\r\nhdel h nope\r\nhdel nope f\r\nhdel h g x\r\nexists h\r\nset s 1\r\nhdel s f\r\nhdel h\r\nquit\r\n",
    b"hset h f abc\r\nhlen h\r\nhlen nope\r\nhexists h f\r\nhexists h g\r\nhexists nope f\r\nhstrlen h f\r\nhstrlen h g\r\nhstrlen nope f\r\nset s 1\r\nhlen s\r\nhexists s f\r\nhstrlen s f\r\nhgetall s\r\nhkeys s\r\nhvals s\r\nquit\r\n",
    b"hincrby h f x\r\nexists h\r\nhincrby h f 5\r\nhincrby h f -7\r\nhset h g x m 9223372036854775807 n -9223372036854775808 p \" 1\"\r\nhincrby h g 1\r\nhincrby h m 1\r\nhincrby h n -1\r\nhincrby h p 1\r\nhset s f 1\r\nset s 1\r\nhincrby s f x\r\nhincrby s f 1\r\nquit\r\n",
    b"hincrbyfloat h f inf\r\nhincrbyfloat h f nan\r\nhincrbyfloat h f x\r\nexists h\r\nhincrbyfloat h f 0.1\r\nhincrbyfloat h f 0.2\r\nhset h g x\r\nhincrbyfloat h g 1\r\nhincrbyfloat h f -inf\r\nset s 1\r\nhincrbyfloat s f inf\r\nhincrbyfloat s f 1\r\nhset h i inf\r\nhincrbyfloat h i 1\r\nquit\r\n",
    b"hset h f 1e4932\r\nhincrbyfloat h f 1e4932\r\nhget h f\r\nhset h f \"\"\r\nhincrbyfloat h f 1\r\nhincrby h f 1\r\nquit\r\n",
    b"hset h f 1\r\nhrandfield h x\r\nhrandfield h -9223372036854775808\r\nhrandfield h 9223372036854775807 withvalues\r\nhrandfield h 4611686018427387904 withvalues\r\nhrandfield h 4611686018427387903 withvalues\r\nhrandfield h 1 nope\r\nhrandfield h 1 withvalues x\r\nhrandfield h x nope\r\nhrandfield nope -9223372036854775807 withvalues\r\nset s 1\r\nhrandfield s\r\nhrandfield s x\r\nhrandfield s 1\r\nquit\r\n",
    b"hset h f 1\r\nhscan h x\r\nhscan h 0\r\nhscan h 77\r\nhscan h 0 match g*\r\nhscan h 0 match f count 1\r\nhscan h 0 count 0\r\nhscan h 0 count x\r\nhscan h 0 type hash\r\nhscan h 0 nope\r\nhscan h 0 match\r\nquit\r\n",
    b"hscan nope 0 count 0\r\nhscan nope x\r\nset s 1\r\nhscan s x\r\nhscan s 0 count 0\r\nhscan s\r\nhscan nope -1\r\nhscan nope \"\"\r\nquit\r\n",
    b"hset h f 1\r\npexpireat h 9000000000000\r\nhset h g 1\r\nhincrby h f 1\r\npexpiretime h\r\nhdel h f g\r\nhset h f 1\r\nttl h\r\nquit\r\n",
];

const ANY: &[&[u8]] = &[
    b"copy a\r\ncopy s s\r\ncopy s t\r\nset s 1\r\nset t 2\r\ncopy s t\r\nget t\r\ncopy s t replace\r\nget t\r\ncopy s u db 0\r\ncopy s u db 1\r\ncopy s u db x\r\ncopy s u db 9999999999\r\ncopy s u db\r\ncopy s u replace nope\r\ncopy s s db 1\r\ncopy s u db 0 replace db 0 replace\r\nquit\r\n",
    b"rpush l a b\r\npexpireat l 9000000000000\r\ncopy l m\r\nrpush m c\r\nlrange l 0 -1\r\nlrange m 0 -1\r\npexpiretime m\r\nset s 1\r\ncopy l s\r\ncopy l s replace\r\ntype s\r\npexpiretime s\r\ncopy nope s replace\r\ntype s\r\nquit\r\n",
    b"hset h f 1\r\ncopy h i\r\nhset i f 2\r\nhget h f\r\nrename h l\r\ntype l\r\nrenamenx l i\r\nexists l\r\ndel l i\r\nquit\r\n",
    b"object encoding nope\r\nset i 1\r\nset e abc\r\nset r aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nset m aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nset f 1.5\r\nset z 01\r\nset n -9223372036854775808\r\nset o 9223372036854775808\r\nobject encoding i\r\nobject encoding e\r\nobject encoding r\r\nobject encoding m\r\nobject encoding f\r\nobject encoding z\r\nobject encoding n\r\nobject encoding o\r\nrpush l a\r\nobject encoding l\r\nquit\r\n",
    b"hset h f 1\r\nobject encoding h\r\nhset h g aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nobject encoding h\r\nhset h g aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\r\nobject encoding h\r\nhdel h g\r\nobject encoding h\r\ncopy h i\r\nobject encoding i\r\nquit\r\n",
    b"set s 1\r\nobject freq s\r\nobject freq nope\r\nobject idletime s\r\nobject idletime nope\r\nobject refcount nope\r\nobject nope\r\nobject nope s\r\nobject\r\nobject encoding\r\nobject encoding s t\r\nobject help x\r\nquit\r\n",
    b"hello 3\r\nobject encoding nope\r\nobject idletime nope\r\nobject freq nope\r\nrpush l a\r\nset l v get\r\nmget l\r\ntype l\r\ngetdel l\r\ntype l\r\nquit\r\n",
    b"rpush l a\r\nget l\r\nset l 1 get\r\nset l 1 nx get\r\ngetset l 1\r\ngetdel l\r\ngetex l\r\ngetex l ex 0\r\ngetex l nope\r\nappend l x\r\nstrlen l\r\nincr l\r\nincrby l x\r\nincrby l 1\r\ndecrby l -9223372036854775808\r\nincrbyfloat l x\r\nincrbyfloat l 1\r\nquit\r\n",
    b"rpush l a\r\ngetrange l x 1\r\ngetrange l 0 1\r\nsubstr l 0 1\r\nsetrange l x a\r\nsetrange l -1 a\r\nsetrange l 0 \"\"\r\nsetrange l 536870912 a\r\nsetrange l 0 a\r\nmget l nope l\r\nsetnx l 1\r\nmsetnx l 1 m 2\r\nexists l m\r\nquit\r\n",
    b"rpush l a\r\nhset h f 1\r\nset l v\r\nget l\r\nsetex h 100 v\r\nget h\r\nrpush l2 a\r\nmset l2 1\r\ntype l2\r\nrpush l3 a\r\ndel l3\r\ntype l3\r\nrpush l4 a\r\nset l4 v xx\r\ntype l4\r\nrpush l5 a\r\nset l5 v nx\r\ntype l5\r\nquit\r\n",
    b"rpush l a\r\nhset h f 1\r\nset s 1\r\nscan 0 type list count 100\r\nscan 0 type hash count 100\r\nscan 0 type LIST count 100\r\nscan 0 type zset count 100\r\ntype l\r\ntype h\r\nquit\r\n",
    b"rpush l a\r\npexpireat l 9000000000000\r\nset l v keepttl\r\npexpiretime l\r\nhset h f 1\r\npexpireat h 1\r\nexists h\r\nhset h f 1\r\nexpire h 100 xx\r\npersist h\r\nexpire h -1\r\ntype h\r\nquit\r\n",
    b"command getkeys lmove a b left right\r\ncommand getkeys copy a b db 0\r\ncommand getkeys object encoding a\r\ncommand getkeys object help\r\ncommand getkeys rpush l a b\r\ncommand getkeys hscan h 0\r\ncommand getkeysandflags rpoplpush a b\r\nquit\r\n",
];

#[test]
fn corner_cases_of_lists_are_answered_as_redis_does() {
    beside_redis(LISTS);
}

#[test]
fn corner_cases_of_hashes_are_answered_as_redis_does() {
    beside_redis(HASHES);
}

#[test]
fn corner_cases_of_values_of_any_type_are_answered_as_redis_does() {
    beside_redis(ANY);
}

fn beside_redis(conversations: &[&[u8]]) {
    if let Some(redis) = Redis::start() {
        converse(Local::new(tables::v3()), &redis, conversations);
    }
}
