// SPDX-License-Identifier: MIT
// The rules of coherence as a model for Spin. One block, one tree: a root, which also uses the block itself; a proxy
// without use of its own; two leaves, A and B, below the proxy. One process plays them all: each turn of its loop is one
// event at one node, as in the daemon, where a step of the core is not interrupted. Messages wait in one FIFO for each link
// and direction (R1). Rules have the numbers of docs/protocol.md; BREAK_x breaks one, and then an assertion must fail.

#ifndef WRITES
#define WRITES 2 // enough to tell stale from fresh
#endif

#define ROOT 0
#define PROXY 1
#define A 2
#define B 3
#define NODES 4

#define NO 0
#define READ 1
#define WRITE 2

// What a copy is. SENT: its flush is under way; COMMITTING: a barrier that covers it is under way.
#define CLEAN 0
#define DIRTY 1
#define SENT 2
#define UNSTABLE 3
#define COMMITTING 4

mtype = { GET, FLUSH, ANSWER, RELEASE, BARRIER, /* down: */ GRANT, INVALIDATE, FLUSHED, SYNCED };

// A message: permission, version (0: no bytes), and one more fact.
chan up[NODES] = [5] of { mtype, byte, byte, byte };
chan down[NODES] = [5] of { mtype, byte, byte, byte };

// ---- What a node knows ----

byte held[NODES];          // the permission it has from its parent
byte version[NODES];       // of its copy; 0: it has none
byte copy[NODES];
byte ask[NODES];           // the permission it has asked its parent for (R7: one request at a time)
bool barrier[NODES];       // one is under way to the parent
byte recall;               // at the proxy: the parent wants it to keep at most recall - 1; 0: no recall is open
byte directory[2 * NODES]; // at the root and the proxy: what a child has,
byte recalled[2 * NODES];  // ... and the recall that is open to it, as above
chan queue[2] = [4] of { byte, byte, byte }; // requests in their order: who, for what, with a copy of its own?
bool waits[NODES];         // at the proxy: a child waits for its barrier,
bool covered[NODES];       // ... which is covered by the one that is under way; the root's own request is waits[ROOT]

#define GRANTED(n, c) directory[(n) * NODES + (c)]
#define RECALLED(n, c) recalled[(n) * NODES + (c)]
#define MOST(n) ((n) == PROXY && recall && recall - 1 < held[n] -> recall - 1 : held[n]) // R18: what the recall leaves
#define CHILDREN_AT_MOST(n, p) (GRANTED(n, PROXY) <= (p) && GRANTED(n, A) <= (p) && GRANTED(n, B) <= (p))
#define READABLE(n) (MOST(n) >= READ && ((n) >= A || CHILDREN_AT_MOST(n, READ)))
#define WRITABLE(n) (MOST(n) == WRITE && ((n) >= A || CHILDREN_AT_MOST(n, NO)))

// ---- What only the observer knows ----

byte now;          // version of the newest acknowledged write: what each read must see
byte writes;       // how many there were
byte mine[NODES];  // version of a leaf's last write that no barrier has made durable

// What a step needs for itself.
hidden byte n, c, p, v, x, other;
hidden mtype event, what;
hidden byte again;

// ---- Leaves ----

inline write_block()
{
	version[n]++;
	copy[n] = (n == ROOT -> CLEAN : DIRTY);
	writes++;
	now = version[n];
	mine[n] = (n == ROOT -> 0 : now)
}

// A recall is served at once (R4): bytes first, then the answer (R6).
inline leaf_recalled()
{
	if
	:: held[n] > p ->
#ifndef BREAK_FLUSH_BEFORE_ANSWER
		if
		:: copy[n] == DIRTY -> up[n]!FLUSH(p, version[n], 0); copy[n] = SENT;
		:: else
		fi;
#endif
		held[n] = p;
		drop_if_useless()
	:: else
	fi;
	up[n]!ANSWER(p, 0, 0)
}

// A clean copy without permission is of no use. One that may still be lost above is kept (R13).
inline drop_if_useless()
{
	if
	:: held[n] == NO && copy[n] == CLEAN -> version[n] = 0; copy[n] = CLEAN
	:: else
	fi
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
	if
	:: n >= A && p == WRITE && writes < WRITES -> write_block()
	:: else
	fi
}

inline flushed()
{
	if
	:: copy[n] == SENT && version[n] == v -> copy[n] = (n >= A -> UNSTABLE : CLEAN)
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
		assert(version[ROOT] >= mine[n]);
		mine[n] = 0;
		copy[n] = CLEAN;
		drop_if_useless()
	:: else
	fi
}

// ---- Nodes with children ----

// Send what is missing so that child "who" keeps at most "most" (R3).
inline lower(who, most)
{
	if
	:: GRANTED(n, who) > most && (RECALLED(n, who) == 0 || RECALLED(n, who) > most + 1) ->
		RECALLED(n, who) = most + 1;
		down[who]!INVALIDATE(most, 0, 0)
	:: else
	fi
}

inline send_flush(keep)
{
	up[n]!FLUSH(keep, version[n], 0);
	copy[n] = SENT
}

// The recall from above: first from the children, then bytes, then the answer.
inline serve_recall()
{
	lower(A, recall - 1);
	lower(B, recall - 1);
	if
#ifndef BREAK_ANSWER_AFTER_CHILDREN
	:: !CHILDREN_AT_MOST(n, recall - 1)
#endif
	:: else ->
		if
		:: copy[n] == DIRTY -> send_flush(recall - 1)
		:: else
		fi;
		held[n] = MOST(n);
		up[n]!ANSWER(recall - 1, 0, 0);
		recall = 0;
		drop_if_useless()
	fi
}

// Nothing above READ (WRITE: nothing at all) is left to anybody else, and no recall of the requester's is open (R18).
#define OTHERS_LOWERED (((c) == PROXY || GRANTED(n, PROXY) <= other) && ((c) == A || GRANTED(n, A) <= other) && \
	((c) == B || GRANTED(n, B) <= other))

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
		up[n]!GET(p, 0, held[n] >= READ)
	:: else
	fi;
	if
#ifdef BREAK_RECALL_BEFORE_GRANT
	:: MOST(n) >= p && RECALLED(n, c) == 0 -> grant()
#elif defined(BREAK_NO_GRANT_OVER_RECALL)
	:: MOST(n) >= p && OTHERS_LOWERED -> grant()
#else
	:: MOST(n) >= p && OTHERS_LOWERED && RECALLED(n, c) == 0 -> grant()
#endif
	:: else
	fi
}

// The directory changes when the answer is sent (R2), and decides whether bytes go along (R5).
inline grant()
{
	if
	:: c == ROOT ->
		waits[ROOT] = false;
		if
		:: p == WRITE && writes < WRITES -> write_block()
		:: else
		fi
	:: else ->
#ifdef BREAK_CROSSING_DATA
		down[c]!GRANT(p, (x -> 0 : version[n]), 0);
#else
		down[c]!GRANT(p, (GRANTED(n, c) >= READ -> 0 : version[n]), 0);
#endif
		GRANTED(n, c) = p;
#ifdef BREAK_DIRTY_UNTIL_ACCEPTED
		if :: p == WRITE && copy[n] == DIRTY -> copy[n] = CLEAN :: else fi
#endif
	fi;
	queue[n]?_, _, _;
	again = true
}

// A barrier goes up when what was flushed here before is above (R14).
inline serve_barrier()
{
	if
	:: copy[n] == DIRTY && held[n] == WRITE -> send_flush(WRITE)
	:: copy[n] == CLEAN && !barrier[n] ->
		barrier[n] = true;
		covered[A] = waits[A];
		covered[B] = waits[B];
		waits[A] = false;
		waits[B] = false;
		up[n]!BARRIER(0, 0, 0)
	:: else
	fi
}

inline advance()
{
	again = true;
	do
	:: again ->
		again = false;
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
	up[c]?what, p, v, x;
	if
	:: what == GET -> queue[n]!c, p, x
	:: what == FLUSH ->
		assert(GRANTED(n, c) == WRITE);
		version[n] = v;
		copy[n] = (n == ROOT -> CLEAN : DIRTY);
		GRANTED(n, c) = p;
		down[c]!FLUSHED(0, v, 0)
	:: what == ANSWER ->
		if :: GRANTED(n, c) > p -> GRANTED(n, c) = p :: else fi;
		if :: RECALLED(n, c) == p + 1 -> RECALLED(n, c) = 0 :: else fi
	:: what == RELEASE -> GRANTED(n, c) = NO
	:: what == BARRIER ->
		if
		:: n == ROOT -> down[c]!SYNCED(0, 0, 0)
		:: else -> waits[c] = true
		fi
	fi
}

// From n's parent to n.
inline on_down()
{
	down[n]?what, p, v, x;
	if
	:: what == GRANT -> granted()
	:: what == INVALIDATE && n >= A -> leaf_recalled()
	:: what == INVALIDATE && n == PROXY ->
		if :: recall == 0 || recall > p + 1 -> recall = p + 1 :: else fi
	:: what == FLUSHED -> flushed()
	:: what == SYNCED && n >= A -> leaf_synced()
	:: what == SYNCED && n == PROXY ->
		barrier[n] = false;
		if :: covered[A] -> down[A]!SYNCED(0, 0, 0) :: else fi;
		if :: covered[B] -> down[B]!SYNCED(0, 0, 0) :: else fi;
		covered[A] = false;
		covered[B] = false
	fi
}

// ---- What is always true ----

#define FRESH(n) (!READABLE(n) || version[n] == now) // I4, G1
#define SILENT ((len(up[PROXY]) == 0) && (len(up[A]) == 0) && (len(up[B]) == 0) && (len(down[PROXY]) == 0) && (len(down[A]) == 0) && (len(down[B]) == 0))
#define NOBODY_WAITS (!ask[PROXY] && !ask[A] && !ask[B] && !recall && (len(queue[ROOT]) == 0) && (len(queue[PROXY]) == 0) && \
	!barrier[PROXY] && !barrier[A] && !barrier[B])

inline check()
{
	assert(FRESH(ROOT) && FRESH(PROXY) && FRESH(A) && FRESH(B));
	assert(WRITABLE(ROOT) + WRITABLE(PROXY) + WRITABLE(A) + WRITABLE(B) <= 1); // I2
	assert(!WRITABLE(A) || !(READABLE(ROOT) || READABLE(PROXY) || READABLE(B)));
	assert(!WRITABLE(B) || !(READABLE(ROOT) || READABLE(PROXY) || READABLE(A)));
	assert(!WRITABLE(ROOT) || !(READABLE(PROXY) || READABLE(A) || READABLE(B)));
	assert(held[A] <= GRANTED(PROXY, A) && held[B] <= GRANTED(PROXY, B) && held[PROXY] <= GRANTED(ROOT, PROXY)); // I1
	assert(GRANTED(PROXY, A) <= held[PROXY] && GRANTED(PROXY, B) <= held[PROXY]);
	assert(!SILENT || NOBODY_WAITS) // no deadlock
}

// ---- What may happen ----

mtype = { FROM_BELOW, FROM_ABOVE, WANT, MODIFY, BRING_UP, SYNC, GIVE_BACK };

#define LINK(child, parent) \
	:: d_step { len(up[child]) > 0 -> event = FROM_BELOW; c = child; n = parent } \
	:: d_step { len(down[child]) > 0 -> event = FROM_ABOVE; n = child }

#define LEAF(who) \
	:: d_step { !ask[who] && held[who] == NO -> event = WANT; n = who; p = READ } \
	:: d_step { !ask[who] && held[who] < WRITE && writes < WRITES -> event = WANT; n = who; p = WRITE } \
	:: d_step { held[who] == WRITE && writes < WRITES -> event = MODIFY; n = who } \
	:: d_step { held[who] == WRITE && copy[who] == DIRTY -> event = BRING_UP; n = who } \
	:: d_step { copy[who] == UNSTABLE && !barrier[who] -> event = SYNC; n = who } \
	:: d_step { held[who] != NO && copy[who] == CLEAN && MAY_RELEASE(who) -> event = GIVE_BACK; n = who }

#ifdef BREAK_RELEASES_WAIT
#define MAY_RELEASE(n) true
#else
#define MAY_RELEASE(n) (!ask[n]) // R19
#endif

// For check.py --trace: the replay of an error in words.
#ifdef TRACE
#define SAY printf("%e %d  perm %d version %d (child %d)\n", event, n, p, v, c)
#else
#define SAY skip
#endif

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
		up[n]!GET(p, 0, held[n] >= READ)
	:: event == MODIFY -> write_block()
	:: event == BRING_UP -> send_flush(WRITE)
	:: event == SYNC ->
		barrier[n] = true;
		copy[n] = COMMITTING;
		up[n]!BARRIER(0, 0, 0)
	:: event == GIVE_BACK ->
		held[n] = NO;
		drop_if_useless();
		up[n]!RELEASE(0, 0, 0)
	fi
}

init {
	d_step {
		held[ROOT] = WRITE;
		version[ROOT] = 1;
		now = 1
	}
	do
	:: atomic {
		if
		LINK(PROXY, ROOT)
		LINK(A, PROXY)
		LINK(B, PROXY)
		LEAF(A)
		LEAF(B)
		:: d_step { !waits[ROOT] && !READABLE(ROOT) -> event = WANT; n = ROOT; p = READ }
		:: d_step { !waits[ROOT] && writes < WRITES -> event = WANT; n = ROOT; p = WRITE }
		:: d_step { held[PROXY] == WRITE && copy[PROXY] == DIRTY -> event = BRING_UP; n = PROXY }
		:: d_step { held[PROXY] != NO && CHILDREN_AT_MOST(PROXY, NO) && copy[PROXY] == CLEAN && !ask[PROXY] &&
			!recall && len(queue[PROXY]) == 0 -> event = GIVE_BACK; n = PROXY }
		fi;
		d_step {
			happen();
			if :: n < A -> advance() :: else fi;
			check()
		}
	}
	od
}
