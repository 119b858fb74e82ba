// SPDX-License-Identifier: MIT
// The rules of coherence and recovery as a model for Spin. One block, one tree: a root, which also uses the block itself; a
// proxy without use of its own; two leaves, A and B, which begin below the proxy. One process plays them all: each turn of
// its loop is one event at one node, as in the daemon, where a step of the core is not interrupted. Messages wait in one
// FIFO for each link and direction (R1). Rules have the numbers of docs/protocol.md. BROKEN(x): rule x is broken; then an
// assertion must fail. This file has the state, the rules of undisturbed work, and what must always be true; recovery.pml what
// happens when the proxy or a link fails. check.py says how many states there are.
//
// Left out: what spans blocks, credits, FORWARD, semi-sync, local durability; bytes have versions only; time is an order.

#ifndef WRITES
#define WRITES 2 // enough to tell stale from fresh
#endif

// One rule is broken, or none: chosen when the search begins, so that one compilation is enough for all.
#define BROKEN(rule) c_expr { broken == BREAK_##rule }
c_decl { int broken; }

#define ROOT 0
#define PROXY 1
#define A 2
#define B 3
#define NODES 4
#define NOBODY 4

#define NO 0
#define READ 1
#define WRITE 2
#define CLAIM 3 // asked for: what it held under an old parent

// What a copy is. SENT: its flush is under way; COMMITTING: a barrier that covers it is under way.
#define CLEAN 0
#define DIRTY 1
#define SENT 2
#define UNSTABLE 3
#define COMMITTING 4

// A child as its parent sees it: connected; not, but its session may still be in use; its session has ended.
#define HERE 0
#define AWAY 1
#define OVER 2

mtype = { GET, FLUSH, ANSWER, RELEASE, BARRIER, /* down: */ GRANT, INVALIDATE, FLUSHED, SYNCED };

// Lines: from the proxy, A and B upwards, and from A and B past the proxy to the root. A message: permission, version (0: no
// bytes), and one more fact.
#define LINES 6
#define LINE(c, n) ((n) == ROOT && (c) >= A -> (c) + 2 : (c))
chan up[LINES] = [7] of { mtype, byte, byte, byte };
chan down[LINES] = [7] of { mtype, byte, byte, byte };
bool broken[LINES]; // what is said from now on does not arrive; nobody needs to know yet
bool fresh_link[LINES]; // the child is on a new link, and its parent still speaks into the old one

// ---- What a node knows ----

byte parent[NODES];        // its parent, or NOBODY when it has noticed that the link is broken
byte held[NODES];          // the permission it has from there
byte version[NODES];       // of its copy; 0: it has none
byte copy[NODES];
byte ask[NODES];           // the permission it has asked its parent for (R7: one request at a time)
bool barrier[NODES];       // one is under way to the parent
byte recall;               // at the proxy: the parent wants it to keep at most recall - 1; 0: no recall is open
byte directory[2 * NODES]; // at the root and the proxy: what a child has,
byte recalled[2 * NODES];  // ... the recall that is open to it, as above,
byte seen[2 * NODES];      // ... and whether it is there
chan queue[2] = [4] of { byte, byte, byte }; // requests in their order: who, for what, with a copy of its own?
bool waits[NODES];         // at the proxy: a child waits for its barrier,
bool covered[NODES];       // ... which is covered by the one that is under way; the root's own request is waits[ROOT]

#define GRANTED(n, c) directory[(n) * NODES + (c)]
#define RECALLED(n, c) recalled[(n) * NODES + (c)]
#define SEEN(n, c) seen[(n) * NODES + (c)]
#define MOST(n) ((n) == PROXY && recall && recall - 1 < held[n] -> recall - 1 : held[n]) // R18: what the recall leaves
#define CHILDREN_AT_MOST(n, p) (GRANTED(n, PROXY) <= (p) && GRANTED(n, A) <= (p) && GRANTED(n, B) <= (p))
#define READABLE(n) (alive[n] && MOST(n) >= READ && ((n) >= A || CHILDREN_AT_MOST(n, READ)))
#define WRITABLE(n) (alive[n] && MOST(n) == WRITE && ((n) >= A || CHILDREN_AT_MOST(n, NO)))

// ---- What only the observer knows ----

bool alive[NODES]; // the lease of what it holds has not ended. (A node knows that of itself.)
byte now;          // version of the newest acknowledged write: what each read must see
byte writes;       // how many there were
byte mine[NODES];  // version of a leaf's last write that no barrier has made durable
bool owed[NODES];  // that write is lost, and its author must be told

// What a step needs for itself; 0 between two steps.
byte n, c, p, v, x, other;
mtype event, what;
bool again, fresh, one_writer, inclusion, nobody_waits;

inline say_up(message, perm, bytes, fact)
{
	if
	:: parent[n] == NOBODY || broken[LINE(n, parent[n])]
	:: else -> up[LINE(n, parent[n])]!message(perm, bytes, fact)
	fi
}

inline say_down(who, message, perm, bytes, fact)
{
	if
	:: SEEN(n, who) != HERE || broken[LINE(who, n)] || fresh_link[LINE(who, n)]
	:: else -> down[LINE(who, n)]!message(perm, bytes, fact)
	fi
}

#include "recovery.pml"

// ---- Leaves ----

inline write_block()
{
	version[n]++;
	copy[n] = (n == ROOT -> CLEAN : DIRTY);
	writes++;
	now = version[n];
	mine[n] = (n == ROOT -> 0 : now)
}

// A clean copy without permission is of no use. One that may still be lost above is kept (R13).
inline drop_if_useless()
{
	if
	:: held[n] == NO && copy[n] == CLEAN -> version[n] = 0
	:: else
	fi
}

// A recall is served at once (R4): bytes first, then the answer (R6).
inline leaf_recalled()
{
	if
	:: held[n] > p ->
		if :: copy[n] == DIRTY && !BROKEN(FLUSH_BEFORE_ANSWER) -> send_flush(p) :: else fi;
		held[n] = p;
		drop_if_useless()
	:: else
	fi;
	say_up(ANSWER, p, 0, 0)
}

// The bytes of a grant take the place of the copy. They supersede what was unstable, and are kept as it was (R13). What the
// grant was asked for is done at once (R9).
inline granted()
{
	held[n] = p;
	ask[n] = NO;
	if
	:: v != 0 -> version[n] = v; copy[n] = (copy[n] == COMMITTING -> UNSTABLE : copy[n])
	:: else -> assert(version[n] != 0) // R5
	fi;
	if :: n >= A && alive[n] && p == WRITE && writes < WRITES -> write_block() :: else fi
}

// The root does not die here: only the proxy can lose what it has.
#define AFTER_FLUSH (n >= A && !BROKEN(KEEP_UNSTABLE) -> UNSTABLE : CLEAN)

inline flushed()
{
	if
	:: copy[n] == SENT && version[n] == v -> copy[n] = AFTER_FLUSH
	:: else
	fi;
	drop_if_useless()
}

// The answer to a leaf's barrier is the success of its fsync (G2).
inline leaf_synced()
{
	barrier[n] = false;
	if
	:: copy[n] == COMMITTING ->
		assert(version[ROOT] >= mine[n] && !owed[n]);
		mine[n] = 0;
		copy[n] = CLEAN;
		drop_if_useless()
	:: else
	fi
}

// ---- Nodes with children ----

// Send what is missing so that child "who" keeps at most "most" (R3). One that is away cannot answer.
inline lower(who, most)
{
	if
	:: GRANTED(n, who) > most && (RECALLED(n, who) == 0 || RECALLED(n, who) > most + 1) && SEEN(n, who) == HERE &&
		!(n == PROXY && who == A && passing) ->
		RECALLED(n, who) = most + 1;
		say_down(who, INVALIDATE, most, 0, 0)
	:: else
	fi
}

inline send_flush(keep)
{
	say_up(FLUSH, keep, version[n], 0);
	copy[n] = SENT
}

// The recall from above: first from the children, then bytes, then the answer.
inline serve_recall()
{
	lower(A, recall - 1);
	lower(B, recall - 1);
	if
	:: !CHILDREN_AT_MOST(n, recall - 1) && !BROKEN(ANSWER_AFTER_CHILDREN)
	:: else ->
		if :: copy[n] == DIRTY -> send_flush(recall - 1) :: else fi;
		held[n] = MOST(n);
		say_up(ANSWER, recall - 1, 0, 0);
		recall = 0;
		drop_if_useless()
	fi
}

// Nobody else has more than "other".
#define OTHERS_LOWERED (((c) == PROXY || GRANTED(n, PROXY) <= other) && ((c) == A || GRANTED(n, A) <= other) && \
	((c) == B || GRANTED(n, B) <= other))

#define READY (MOST(n) >= p && (OTHERS_LOWERED || BROKEN(RECALL_BEFORE_GRANT)) && \
	(RECALLED(n, c) == 0 || BROKEN(NO_GRANT_OVER_RECALL)))

// What stands between the first request and its grant? Both sides are asked at once.
inline serve_request()
{
	queue[n]?<c, p, x>;
	other = (p == WRITE -> NO : READ);
	if :: c != PROXY -> lower(PROXY, other) :: else fi;
	if :: c != A -> lower(A, other) :: else fi;
	if :: c != B -> lower(B, other) :: else fi;
	if
	:: MOST(n) < p && ask[n] == NO ->
		ask[n] = p;
		say_up(GET, p, 0, held[n] >= READ)
	:: else
	fi;
	if
	:: READY ->
		queue[n]?_, _, _;
		again = true;
		if
		:: c != ROOT -> grant()
		:: c == ROOT && p == WRITE && writes < WRITES -> waits[ROOT] = false; write_block()
		:: else -> waits[ROOT] = false
		fi
	:: else
	fi
}

// The directory changes when the answer is sent (R2), and decides whether bytes go along (R5).
inline grant()
{
	if :: GRANTED(n, c) > p -> p = GRANTED(n, c) :: else fi; // a claim was quicker than the request
	if :: !BROKEN(CROSSING_DATA) -> x = (GRANTED(n, c) >= READ) :: else fi;
	say_down(c, GRANT, p, (x -> 0 : version[n]), 0);
	GRANTED(n, c) = p;
	if :: p == WRITE && copy[n] == DIRTY && BROKEN(DIRTY_UNTIL_ACCEPTED) -> copy[n] = CLEAN :: else fi
}

// A barrier goes up when what was flushed here before is above (R14).
inline serve_barrier()
{
	if
	:: copy[n] == DIRTY && held[n] == WRITE && !BROKEN(BARRIER_AFTER_FLUSH) -> send_flush(WRITE)
	:: (copy[n] == CLEAN || BROKEN(BARRIER_AFTER_FLUSH)) && !barrier[n] ->
		barrier[n] = true;
		covered[A] = waits[A];
		covered[B] = waits[B];
		waits[A] = false;
		waits[B] = false;
		say_up(BARRIER, 0, 0, 0)
	:: else
	fi
}

inline advance()
{
	again = true;
	do
	:: again ->
		again = false;
		if :: n == ROOT -> serve_claims() :: else fi;
		if :: n == PROXY && recall -> serve_recall() :: else fi;
		if :: len(queue[n]) > 0 -> serve_request() :: else fi;
	:: else -> break
	od;
	if :: n == PROXY && (waits[A] || waits[B]) -> serve_barrier() :: else fi
}

// ---- Messages ----

// From child c to n. The root's copy is its store: what it has is durable.
inline on_up()
{
	up[LINE(c, n)]?what, p, v, x;
	if
	:: what == GET -> queue[n]!c, p, x
	:: what == FLUSH ->
		assert(GRANTED(n, c) == WRITE);
		if
		:: v > version[n] -> version[n] = v; copy[n] = (n == ROOT -> CLEAN : DIRTY)
		:: else // its author has brought newer bytes by another way
		fi;
		GRANTED(n, c) = p;
		say_down(c, FLUSHED, 0, v, 0)
	:: what == ANSWER ->
		if
		:: RECALLED(n, c) == p + 1 ->
			RECALLED(n, c) = 0;
			if :: GRANTED(n, c) > p -> GRANTED(n, c) = p :: else fi
		:: else // of a recall that another has replaced
		fi
	:: what == RELEASE -> GRANTED(n, c) = NO
	:: what == BARRIER && n == ROOT -> say_down(c, SYNCED, 0, 0, 0)
	:: what == BARRIER && n == PROXY -> waits[c] = true
	:: else -> recovery_up()
	fi
}

// From n's parent to n.
inline on_down()
{
	down[LINE(n, parent[n])]?what, p, v, x;
	if
	:: what == GRANT -> granted()
	:: what == INVALIDATE && n >= A -> leaf_recalled()
	:: what == INVALIDATE && n == PROXY ->
		if :: recall == 0 || recall > p + 1 -> recall = p + 1 :: else fi
	:: what == FLUSHED -> flushed()
	:: what == SYNCED && n >= A -> leaf_synced()
	:: what == SYNCED && n == PROXY ->
		barrier[n] = false;
		if :: covered[A] -> say_down(A, SYNCED, 0, 0, 0) :: else fi;
		if :: covered[B] -> say_down(B, SYNCED, 0, 0, 0) :: else fi;
		covered[A] = false;
		covered[B] = false
	:: else -> recovery_down()
	fi
}

// ---- What is always true ----

#define FRESH(n) (!READABLE(n) || version[n] == now) // I4, G1
#define SILENT (len(up[0]) + len(up[1]) + len(up[2]) + len(up[3]) + len(up[4]) + len(up[5]) + \
	len(down[0]) + len(down[1]) + len(down[2]) + len(down[3]) + len(down[4]) + len(down[5]) == 0)
#define WAITS(n) (CONNECTED(n) && (ask[n] || barrier[n]))
#define CONNECTED(n) (parent[n] != NOBODY && !broken[LINE(n, parent[n])])
// What n knows itself to hold is on record at its parent. (A claim that has not been answered is a matter of its own.)
#define INCLUDED(n) (!CONNECTED(n) || ask[n] == CLAIM || held[n] <= GRANTED(parent[n], n))

inline check()
{
	fresh = FRESH(ROOT) && FRESH(PROXY) && FRESH(A) && FRESH(B);
	assert(fresh);
	// I2
	one_writer = WRITABLE(ROOT) + WRITABLE(PROXY) + WRITABLE(A) + WRITABLE(B) <= 1 &&
		(!WRITABLE(A) || !(READABLE(ROOT) || READABLE(PROXY) || READABLE(B))) &&
		(!WRITABLE(B) || !(READABLE(ROOT) || READABLE(PROXY) || READABLE(A))) &&
		(!WRITABLE(ROOT) || !(READABLE(PROXY) || READABLE(A) || READABLE(B)));
	assert(one_writer);
	// I1
	inclusion = INCLUDED(PROXY) && INCLUDED(A) && INCLUDED(B) &&
		GRANTED(PROXY, A) <= held[PROXY] && GRANTED(PROXY, B) <= held[PROXY];
	assert(inclusion);
	// No deadlock: when all messages have arrived nobody waits but for the end of a lease.
	nobody_waits = !WAITS(A) && !WAITS(B) && !WAITS(PROXY) && !recall && len(queue[ROOT]) + len(queue[PROXY]) == 0;
	assert(nobody_waits || !SILENT || FROZEN);
	n = 0; c = 0; p = 0; v = 0; x = 0; other = 0; event = 0; what = 0; elsewhere = 0; bring = 0;
	fresh = 0; one_writer = 0; inclusion = 0; nobody_waits = 0
}

// ---- What may happen ----

mtype = { FROM_BELOW, FROM_ABOVE, WANT, MODIFY, BRING_UP, SYNC, GIVE_BACK, /* failures: */ CRASH, ISOLATED, CUT, LOSE, MISS, LAPSE, JOIN, EVICT };

#define LINK(child, above) \
	:: d_step { len(up[LINE(child, above)]) > 0 -> event = FROM_BELOW; c = child; n = above } \
	:: d_step { parent[child] == above && len(down[LINE(child, above)]) > 0 -> event = FROM_ABOVE; n = child }

#define LEAF(who) \
	:: d_step { CONNECTED(who) && MAY_WANT(who, READ) && !ask[who] && held[who] == NO -> event = WANT; n = who; p = READ } \
	:: d_step { CONNECTED(who) && MAY_WANT(who, WRITE) && !ask[who] && held[who] < WRITE && writes < WRITES -> event = WANT; n = who; p = WRITE } \
	:: d_step { WRITABLE(who) && writes < WRITES -> event = MODIFY; n = who } \
	:: d_step { CONNECTED(who) && ask[who] != CLAIM && held[who] == WRITE && copy[who] == DIRTY && MAY_BOTHER(who) -> event = BRING_UP; n = who } \
	:: d_step { CONNECTED(who) && ask[who] != CLAIM && copy[who] == UNSTABLE && !barrier[who] && MAY_BOTHER(who) -> event = SYNC; n = who } \
	:: d_step { CONNECTED(who) && held[who] != NO && copy[who] == CLEAN && MAY_RELEASE(who) -> event = GIVE_BACK; n = who }

// Where failures happen enough happens, so there some do only what they must, to keep the number of states small.
#ifdef FAILURES
#ifdef B_RELEASES
#define MAY_RELEASE(n) (n == B && !ask[n])
#else
#define MAY_RELEASE(n) false
#endif
#define MAY_BOTHER(n) (n == A)
#define ROOT_READS false
#else
#define MAY_RELEASE(n) (!ask[n] || BROKEN(RELEASES_WAIT)) // R19
#define MAY_BOTHER(n) true
#define ROOT_READS true
#endif
#ifndef ROOT_WRITES
#define ROOT_WRITES true
#endif
#ifndef A_WANTS
#define A_WANTS READ
#endif
#ifndef B_WANTS
#define B_WANTS READ
#endif
#define MAY_WANT(n, p) (p >= (n == A -> A_WANTS : B_WANTS))

// For check.py --trace.
#define TELL_EVENT printf("## %d n=%d c=%d p=%d\n", event, n, c, p)
#define TELL_NODE(n) printf("   %d: parent %d alive %d held %d version %d copy %d ask %d mine %d owed %d\n", \
	n, parent[n], alive[n], held[n], version[n], copy[n], ask[n], mine[n], owed[n])
#define TELL_STATE printf("   (%d p=%d v=%d x=%d) now %d; root: proxy %d A %d B %d; proxy: A %d B %d recall %d\n", \
	what, p, v, x, now, GRANTED(ROOT, PROXY), GRANTED(ROOT, A), GRANTED(ROOT, B), GRANTED(PROXY, A), GRANTED(PROXY, B), recall); \
	TELL_NODE(0); TELL_NODE(1); TELL_NODE(2); TELL_NODE(3)

inline happen()
{
	if
	:: event == FROM_BELOW -> on_up()
	:: event == FROM_ABOVE -> on_down()
	:: event == WANT && n == ROOT ->
		waits[ROOT] = true;
		queue[ROOT]!ROOT, p, 0
	:: event == WANT && n >= A ->
		ask[n] = p;
		say_up(GET, p, 0, held[n] >= READ)
	:: event == MODIFY -> write_block()
	:: event == BRING_UP -> send_flush(WRITE)
	:: event == SYNC ->
		barrier[n] = true;
		copy[n] = COMMITTING;
		say_up(BARRIER, 0, 0, 0)
	:: event == GIVE_BACK ->
		held[n] = NO;
		drop_if_useless();
		say_up(RELEASE, 0, 0, 0)
	:: else -> fail()
	fi
}

init {
	d_step {
		c_code { broken = getenv("BROKEN") ? atoi(getenv("BROKEN")) : 0; };
		held[ROOT] = WRITE;
		version[ROOT] = 1;
		now = 1;
		parent[ROOT] = NOBODY;
		parent[A] = PROXY;
		parent[B] = PROXY;
		through[A] = true;
		through[B] = true;
		alive[ROOT] = true;
		alive[PROXY] = true;
		alive[A] = true;
		alive[B] = true
	}
end:
	do // nothing may be left to happen: who waits for what is for check() to see
	:: atomic {
		if
		LINK(PROXY, ROOT)
		LINK(A, PROXY)
		LINK(B, PROXY)
		LEAF(A)
		LEAF(B)
		:: d_step { ROOT_READS && !waits[ROOT] && !READABLE(ROOT) -> event = WANT; n = ROOT; p = READ }
		:: d_step { ROOT_WRITES && !waits[ROOT] && writes < WRITES -> event = WANT; n = ROOT; p = WRITE }
		:: d_step { MAY_BOTHER(PROXY) && held[PROXY] == WRITE && copy[PROXY] == DIRTY -> event = BRING_UP; n = PROXY }
		:: d_step { held[PROXY] != NO && CHILDREN_AT_MOST(PROXY, NO) && copy[PROXY] == CLEAN && !ask[PROXY] &&
			!recall && len(queue[PROXY]) == 0 -> event = GIVE_BACK; n = PROXY }
#ifdef FAILURES
		LINK(A, ROOT)
		LINK(B, ROOT)
		FAILURES
#endif
		fi;
		d_step {
			TELL_EVENT;
			happen();
			if :: n < A -> advance() :: else fi;
			TELL_STATE;
			check()
		}
	}
	od
}
