// SPDX-License-Identifier: MIT
// What happens when the proxy or links fail, in the tree of hvfs.pml. (A root that dies: restart.pml.) Time is not counted: a lease
// that is not renewed may end at any moment, and what is assumed of clocks is an order: the lease of a child, and of all below
// it, has ended before its parent takes back (T2, T3). Each link is a new session; sessions are told apart by the number of
// their link, which stands for the names that nodes take (F3).
//
// CRASH_PROXY: the proxy dies once. ISOLATE: it is cut off from the root for good, and lives on until its lease ends. CUTS: so
// often a link of A's breaks, and A goes on at the proxy or at the root.

#ifndef CUTS
#define CUTS 0
#endif

mtype = { RECOVER, PASS, LET_GO, NOT_HOLDER, RECORD, /* down: */ RECOVERED, REFUSED, MOVE, PASSED, RECORDED };

bool dead;              // the proxy
byte cuts;              // how many there were
byte number[NODES];     // of a leaf's link: one more with each (F4)
byte base[NODES];       // number of the link whose session its permission comes from,
bool through[NODES];    // ... and is that session one of the proxy's?
byte known[2 * NODES];  // at the root and the proxy: the newest link number of a leaf
byte record[2 * NODES]; // ... and: sessions before this number were evicted
bool evicted;           // at the root: so was the proxy's session (F2)
byte claim[NODES];      // at the root, a claim that is not decided: 0 none, else the permission + 1,
byte claimed[NODES];    // ... its version,
bool lively[NODES];     // ... and whether the claimant's lease had not ended
bool passed_up, agreed; // ... and, for A's: whether it came through the proxy, and the proxy's directory agrees;
byte came_from[NODES];  // ... the session it comes from;
bool moving[NODES];     // the proxy has been asked to let go
byte verdict[NODES];    // within a step: what becomes of the claim
#define OPEN 0
#define RIGHT 1
#define WRONG 2
bool elsewhere, bring;  // within a step
bool passing;           // at the proxy: a claim of A's is not decided, so A's word on the block is worth nothing now
bool recording;         // at the proxy: the eviction of A is on its way to the root

#define KNOWN(n, c) known[(n) * NODES + (c)]
#define RECORD_OF(n, c) record[(n) * NODES + (c)]

// One fact of RECOVER and PASS: live + 2 * through + 4 * number + 16 * base; in a PASS, 64: the proxy's directory agrees.
#define X_LIVE(x) ((x) & 1)
#define X_THROUGH(x) (((x) >> 1) & 1)
#define X_NUMBER(x) (((x) >> 2) & 3)
#define X_BASE(x) (((x) >> 4) & 3)
#define X_OWN(x) ((x) >> 6)

// ---- The child ----

#define DRAIN(line) do :: len(line) > 0 -> line?_, _, _, _ :: else -> break od

// The link is gone: what was under way is as if it had not been sent.
inline lose()
{
	DRAIN(down[LINE(n, parent[n])]);
	parent[n] = NOBODY;
	ask[n] = NO;
	barrier[n] = false;
	copy[n] = (copy[n] == SENT -> DIRTY : (copy[n] == COMMITTING -> UNSTABLE : copy[n]))
}

// A new session at node p: WRITE is claimed, bytes that may be lost are sent again, READ is given up (F3).
inline join()
{
	DRAIN(up[LINE(n, p)]);
	DRAIN(down[LINE(n, p)]);
	broken[LINE(n, p)] = false;
	fresh_link[LINE(n, p)] = true;
	parent[n] = p;
	number[n]++;
	ask[n] = CLAIM;
	held[n] = (held[n] == READ -> NO : held[n]);
	drop_if_useless();
	v = version[n];
	if :: held[n] != WRITE && BROKEN(SEND_AGAIN) -> v = 0 :: else fi;
	say_up(RECOVER, held[n], v, alive[n] + 2 * through[n] + 4 * number[n] + 16 * base[n])
}

// The lease began when the claim was sent (T2): if anybody above has taken back since, it is over.
inline answered()
{
	ask[n] = NO;
	alive[n] = (SEEN(parent[n], n) != OVER && (parent[n] == ROOT || SEEN(ROOT, PROXY) != OVER));
	base[n] = number[n];
	through[n] = (parent[n] == PROXY)
}

// The parent has the claim, or the bytes. "x": it had not had them.
inline recovered()
{
	answered();
	if
	:: x -> copy[n] = DIRTY
	:: !x && copy[n] == DIRTY && (p == NO || version[n] == v) -> copy[n] = UNSTABLE
	:: else
	fi
}

// Somebody else has got the block since: the bytes go to the rescue file, and the next fsync fails.
inline refused()
{
	assert(!alive[n]); // G4: not to an author in good standing
	answered();
	held[n] = NO;
	copy[n] = CLEAN;
	version[n] = 0;
	mine[n] = 0;
	owed[n] = false
}

// ---- Any parent ----

// What waits here for child c, and what is open to it, is void.
inline forget()
{
	do :: queue[n]??[eval(c), _, _] -> queue[n]??eval(c), _, _ :: else -> break od;
	RECALLED(n, c) = 0;
	if :: n == PROXY -> waits[c] = false; covered[c] = false :: else fi
}

// The link to child c is gone.
inline miss()
{
	SEEN(n, c) = AWAY;
	DRAIN(up[LINE(c, n)]);
	forget();
	if :: c == PROXY -> moving[A] = false; moving[B] = false :: else fi
}

// A claim that was accepted and is made again is the same claim.
#define EVICTED(c) (GRANTED(n, c) != WRITE && !BROKEN(EVICTED_REFUSED) && \
	(X_BASE(x) < RECORD_OF(n, c) || (n == ROOT && evicted && X_THROUGH(x))))

// Bytes that child "who" sends again: newer ones are what a reversion would go back to, whoever has WRITE now.
inline take_bytes(bytes)
{
	if
	:: bytes > version[n] -> version[n] = bytes; copy[n] = (n == ROOT -> CLEAN : DIRTY)
	:: else
	fi
}

#define IS_OLD (X_BASE(x) > KNOWN(n, c) && !BROKEN(OLD_RECORD))

// Then it may have claimed the same there, and been heard: only who is above both can tell.
#define HAS_BEEN_ELSEWHERE (X_NUMBER(x) > KNOWN(n, c) + 1)

// Child c is on a new link. READ is given up. WRITE that it does not claim is taken back. But if it has been elsewhere since
// (what the directory has of an older session than the one it claims from, it never got, or gave up), newer bytes may be
// there: a proxy then lets go.
inline new_session()
{
	forget();
	if
	:: GRANTED(n, c) == WRITE && IS_OLD && n == PROXY -> let_go(0)
	:: GRANTED(n, c) == WRITE && ((IS_OLD && n == ROOT) || (!IS_OLD && p == NO && v == 0)) -> take_back()
	:: GRANTED(n, c) == READ -> GRANTED(n, c) = NO
	:: else
	fi;
	if :: n == PROXY -> passing = false :: else fi;
	elsewhere = HAS_BEEN_ELSEWHERE;
	KNOWN(n, c) = X_NUMBER(x)
}


// RECOVER with permission p and version v.
inline on_recover()
{
	SEEN(n, c) = HERE;
	fresh_link[LINE(c, n)] = false;
	new_session();
	if
	:: p == NO && v == 0 -> say_down(c, RECOVERED, NO, 0, false)
	:: (p != NO || v != 0) && EVICTED(c) -> say_down(c, REFUSED, 0, 0, 0)
	:: (p != NO || v != 0) && !EVICTED(c) && n == ROOT ->
		claim[c] = p + 1;
		claimed[c] = v;
		lively[c] = X_LIVE(x);
		came_from[c] = X_BASE(x);
		moving[c] = false;
		if :: c == A -> passed_up = false :: else fi
	:: (p != NO || v != 0) && !EVICTED(c) && n == PROXY -> recover_at_proxy()
	fi
}

// ---- The proxy ----

// A claim is decided where WRITE is held, which is here if the directory still shows it at the claimant. Bytes of a session
// that was another parent's go up even if newer ones are here: the newer ones may be those of a reversion, and only the root
// knows whether the author was evicted.
#define KNOWS_SESSION(x) (X_THROUGH(x) || BROKEN(NEWER_IS_HERE))

inline recover_at_proxy()
{
	if
	:: p == WRITE && GRANTED(n, c) == WRITE && !elsewhere -> say_down(c, RECOVERED, WRITE, v, v > version[n])
	:: p == NO && KNOWS_SESSION(x) && (held[n] == WRITE || v <= version[n]) ->
		GRANTED(n, c) = NO;
		take_bytes(v);
		say_down(c, RECOVERED, NO, v, false)
	:: else ->
		passing = !BROKEN(NO_RECALL_OF_CLAIM);
		say_up(PASS, p, v, x + (GRANTED(n, c) == WRITE -> 64 : 0))
	fi
}

// The root has decided on a claim of A's that was passed up: 0: refused, 1: yes, 2: yes, and its bytes are newer than these.
inline passed()
{
	passing = false;
	if
	:: x && p == WRITE ->
		held[n] = WRITE;
		GRANTED(n, A) = WRITE;
		version[n] = v;
		say_down(A, RECOVERED, WRITE, v, x == 2)
	:: x && p == NO -> say_down(A, RECOVERED, NO, v, false)
	:: else ->
		c = A;
		if :: GRANTED(n, c) == WRITE -> take_back() :: else fi;
		say_down(A, REFUSED, 0, 0, 0)
	fi
}

#define HAS_LEFT(who, x) (KNOWN(n, who) < (x) || BROKEN(STALE_NUMBER))

// Child p is said to have moved, on its link number x, from session v: what it had here is let go at once (F5).
inline on_move()
{
	if
	:: GRANTED(n, p) == WRITE && HAS_LEFT(p, x) && v <= KNOWN(n, p) ->
		c = p;
		close_session();
		let_go(x)
	:: else -> say_up(NOT_HOLDER, p, 0, x)
	fi
}

// Child c's session here is over, if the mover has not told so itself.
inline close_session()
{
	SEEN(n, c) = OVER;
	broken[c] = true;
	DRAIN(up[c]);
	forget()
}

inline let_go(mover_number)
{
	GRANTED(n, c) = NO;
	if
	:: copy[n] == DIRTY && !BROKEN(LET_GO_FLUSHES) -> send_flush(WRITE) // the root must not take this for the end of WRITE
	:: else
	fi;
	held[n] = NO;
	say_up(LET_GO, c, 0, mover_number);
	if :: recall -> say_up(ANSWER, recall - 1, 0, 0) :: else fi;
	recall = 0;
	drop_if_useless()
}

// The root has put the eviction of A's session p on record (x), or says that A is there.
inline recorded()
{
	recording = false;
	if
	:: GRANTED(n, A) == WRITE && KNOWN(n, A) == p && SEEN(n, A) != HERE ->
		c = A;
		if
		:: x -> RECORD_OF(n, c) = p + 1; take_back()
		:: else -> close_session(); let_go(0)
		fi
	:: else
	fi
}

// ---- The root ----

#define BRING(who) (claimed[who] > version[ROOT] && !BROKEN(BRING))
#define TAKES_BYTES (GRANTED(ROOT, PROXY) == WRITE || !BROKEN(BYTES_BESIDE_WRITER))

// To the claimant, by the way the claim came.
#define CAME_UP(who) (who == A && passed_up)
inline yes(who, perm, bytes, fact)
{
	if
	:: CAME_UP(who) -> say_down(PROXY, PASSED, perm, bytes, 1 + fact)
	:: else -> say_down(who, RECOVERED, perm, bytes, fact)
	fi
}

// Claimant "who" gets what it claims; the proxy, if it had WRITE, has it no more.
inline accept(who)
{
	if
	:: claim[who] == NO + 1 ->
		take_bytes(claimed[who]);
		if :: GRANTED(ROOT, who) == WRITE -> GRANTED(ROOT, who) = NO :: else fi;
		yes(who, NO, claimed[who], false)
	:: claim[who] == WRITE + 1 ->
		assert(version[who] == now);
		GRANTED(ROOT, PROXY) = NO;
		GRANTED(ROOT, who) = NO;
		bring = BRING(who);
		if
		:: CAME_UP(who) -> GRANTED(ROOT, PROXY) = WRITE; yes(who, WRITE, version[ROOT], bring)
		:: else -> GRANTED(ROOT, who) = WRITE; yes(who, WRITE, claimed[who], bring)
		fi
	fi;
	claim[who] = 0
}

inline refuse(who)
{
	if
	:: CAME_UP(who) -> say_down(PROXY, PASSED, 0, 0, 0)
	:: else -> say_down(who, REFUSED, 0, 0, 0)
	fi;
	claim[who] = 0
}

// What is to become of c's claim? Who holds the block on record is right; where the proxy has WRITE, it is asked; where it is
// away, the claim of one whose lease has not ended is right.
inline judge()
{
	if
	:: verdict[c] != OPEN
	:: verdict[c] == OPEN && CAME_UP(c) ->
		if
		:: (agreed && GRANTED(ROOT, PROXY) == WRITE) || claim[c] == NO + 1 -> verdict[c] = RIGHT
		:: !agreed && GRANTED(ROOT, c) == WRITE ->
			if :: RECALLED(ROOT, PROXY) == 0 || BROKEN(NO_CLAIM_OVER_RECALL) -> verdict[c] = RIGHT :: else fi // R18
		:: else -> verdict[c] = WRONG
		fi
	:: verdict[c] == OPEN && !CAME_UP(c) && GRANTED(ROOT, c) == WRITE -> verdict[c] = RIGHT
	:: verdict[c] == OPEN && !CAME_UP(c) && GRANTED(ROOT, c) != WRITE && GRANTED(ROOT, PROXY) == WRITE ->
		if
		:: SEEN(ROOT, PROXY) == HERE && !moving[c] ->
			moving[c] = true;
			say_down(PROXY, MOVE, c, came_from[c], KNOWN(ROOT, c))
		:: SEEN(ROOT, PROXY) != HERE && (claim[c] == NO + 1 || lively[c]) -> verdict[c] = RIGHT
		:: else
		fi
	:: else -> verdict[c] = (claim[c] == NO + 1 && TAKES_BYTES -> RIGHT : WRONG)
	fi
}

inline serve_claims()
{
	c = A;
	do
	:: c <= B ->
		if
		:: claim[c] ->
			judge();
			if
			:: verdict[c] == RIGHT -> accept(c)
			:: verdict[c] == WRONG -> refuse(c)
			:: else
			fi
		:: else
		fi;
		verdict[c] = OPEN;
		c++
	:: else -> break
	od
}

// The proxy has let go of what p had there, or says that it was not asked well.
inline on_let_go()
{
	if
	:: claim[p] && x -> verdict[p] = RIGHT; GRANTED(ROOT, PROXY) = NO
	:: else -> take_back()
	fi
}

inline on_not_holder()
{
	if :: claim[p] && KNOWN(ROOT, p) == x -> verdict[p] = (claim[p] == NO + 1 -> RIGHT : WRONG) :: else fi
}

// The proxy passes a claim of A's up. A is not at the root any more, if it was.
inline on_pass()
{
	if
	:: X_NUMBER(x) < KNOWN(ROOT, A) && !BROKEN(STALE_CLAIM) // A has come by another way since
	:: else -> c = A; take_over()
	fi
}

inline take_over()
{
	new_session();
	DRAIN(up[LINE(A, ROOT)]);
	SEEN(ROOT, A) = OVER;
	passed_up = true;
	agreed = X_OWN(x);
	claim[A] = p + 1;
	claimed[A] = v;
	if :: EVICTED(A) -> verdict[A] = WRONG :: else fi
}

// The proxy wants to evict session p of A's. Who has already come here is not evicted.
inline on_record()
{
	if
	:: KNOWN(ROOT, A) > p && !BROKEN(ARRIVED_STAYS) -> say_down(PROXY, RECORDED, p, 0, false)
	:: else -> RECORD_OF(ROOT, A) = p + 1; say_down(PROXY, RECORDED, p, 0, true)
	fi
}

// ---- The end of a session ----

#define LEASE_OVER(n, c) (BROKEN(LEASE_ORDER) || LEASES_OVER(n, c))
#define LEASES_OVER(n, c) ((c) == PROXY -> (dead && !(alive[A] && through[A]) && !(alive[B] && through[B])) : \
	((n) == PROXY -> !(alive[c] && through[c]) : (!alive[c] || (parent[c] == PROXY && ask[c] != CLAIM))))

// Lazy: somebody wants the block. What was moved from a proxy that is away goes back further than to what the proxy had, and
// others below it may be on their way with newer bytes: so the proxy's session ends first.
#define PROXY_FIRST(n) (BROKEN(PROXY_FIRST) || (n) != ROOT || SEEN(ROOT, PROXY) != AWAY || LEASE_OVER(ROOT, PROXY))
#define CAN_EVICT(n, c) (SEEN(n, c) == AWAY && GRANTED(n, c) != NO && LEASE_OVER(n, c) && PROXY_FIRST(n) && \
	(len(queue[n]) > 0 || ((n) == PROXY && (recall || ask[n])) || ((n) == ROOT && (claim[A] || claim[B]))))

inline lost_by(who)
{
	if
	:: mine[who] > version[n] ->
		assert(!alive[who]); // G4: an author in good standing loses nothing
		owed[who] = true
	:: else
	fi
}

// What was written below is lost. The version that follows is beyond any that may have been used there (R11).
inline take_back()
{
	lost_by(A);
	lost_by(B);
	version[n] = version[n] + 8;
	copy[n] = (n == ROOT -> CLEAN : DIRTY);
	now = version[n];
	GRANTED(n, c) = NO
}

// Of lapsed claims the highest version wins.
inline evict()
{
	SEEN(n, c) = OVER;
	RECALLED(n, c) = 0;
	if
	:: GRANTED(n, c) == READ -> GRANTED(n, c) = NO
	:: GRANTED(n, c) == WRITE && n == PROXY && BROKEN(RECORD) ->
		RECORD_OF(n, c) = KNOWN(n, c) + 1;
		take_back()
	:: GRANTED(n, c) == WRITE && n == PROXY && !BROKEN(RECORD) ->
		recording = true;
		say_up(RECORD, KNOWN(n, c), 0, 0)
	:: GRANTED(n, c) == WRITE && n == ROOT && c != PROXY ->
		RECORD_OF(n, c) = KNOWN(n, c) + 1;
		if
		:: SEEN(ROOT, PROXY) == AWAY && !BROKEN(PROXY_FIRST) -> SEEN(ROOT, PROXY) = OVER; evicted = true
		:: else
		fi;
		take_back()
	:: GRANTED(n, c) == WRITE && n == ROOT && c == PROXY ->
		evicted = true;
		if
		:: claim[A] && claimed[A] > (claim[B] -> claimed[B] : 0) -> verdict[A] = RIGHT
		:: claim[B] && claimed[B] > (claim[A] -> claimed[A] : 0) -> verdict[B] = RIGHT
		:: else -> take_back()
		fi
	fi
}

// ---- Failures ----

// The proxy dies, with all it knows, and what was on its way to it.
inline crash()
{
	dead = true;
	broken[PROXY] = true;
	broken[A] = true;
	broken[B] = true;
	parent[PROXY] = NOBODY;
	held[PROXY] = NO;
	version[PROXY] = 0;
	copy[PROXY] = CLEAN;
	ask[PROXY] = NO;
	barrier[PROXY] = false;
	recall = 0;
	recording = false;
	passing = false;
	DRAIN(down[PROXY]);
	DRAIN(up[A]);
	DRAIN(up[B]);
	c = A;
	forget();
	GRANTED(PROXY, A) = NO;
	c = B;
	forget();
	GRANTED(PROXY, B) = NO
}

inline recovery_up()
{
	if
	:: what == RECOVER -> on_recover()
	:: what == PASS -> on_pass()
	:: what == LET_GO -> on_let_go()
	:: what == NOT_HOLDER -> on_not_holder()
	:: what == RECORD -> on_record()
	fi
}

inline recovery_down()
{
	if
	:: what == RECOVERED -> recovered()
	:: what == REFUSED -> refused()
	:: what == MOVE -> on_move()
	:: what == PASSED -> passed()
	:: what == RECORDED -> recorded()
	fi
}

inline fail()
{
	if
	:: event == CRASH -> crash()
	:: event == CUT -> cuts++; broken[LINE(n, parent[n])] = true
	:: event == LOSE -> lose()
	:: event == MISS -> miss()
	:: event == LAPSE && n == PROXY -> crash() // it closes its links: nothing can be had from it any more
	:: event == LAPSE && n >= A ->
		alive[n] = false;
		if :: parent[n] == PROXY && ask[n] != CLAIM -> broken[n] = true :: else fi // F9: it connects anew
	:: event == ISOLATED -> broken[PROXY] = true
	:: event == JOIN -> join()
	:: event == EVICT -> evict()
	fi
}

#define MISSES(above, child) \
	:: d_step { SEEN(above, child) == HERE && broken[LINE(child, above)] && !(above == PROXY && dead) -> \
		event = MISS; n = above; c = child }
#define EVICTS(above, child) \
	:: d_step { CAN_EVICT(above, child) && !(above == PROXY && recording) -> event = EVICT; n = above; c = child }
#define FAILING_LEAF(who) \
	:: d_step { parent[who] != NOBODY && !CONNECTED(who) -> event = LOSE; n = who } \
	:: d_step { alive[who] && (!CONNECTED(who) || ask[who] == CLAIM || (parent[who] == PROXY && broken[PROXY])) -> \
		event = LAPSE; n = who } \
	:: d_step { parent[who] == NOBODY && MAY_JOIN(who) -> event = JOIN; n = who; p = ROOT }

#define CRASHES \
	:: d_step { !dead -> event = CRASH; n = PROXY } \
	MISSES(ROOT, PROXY) \
	EVICTS(ROOT, PROXY)
#define ISOLATING \
	:: d_step { !broken[PROXY] -> event = ISOLATED; n = PROXY } \
	:: d_step { broken[PROXY] && !dead && LEASES_BELOW_OVER -> event = LAPSE; n = PROXY } \
	MISSES(ROOT, PROXY) \
	EVICTS(ROOT, PROXY)
#define LEASES_BELOW_OVER (!(alive[A] && through[A]) && !(alive[B] && through[B]))
#define CUTTING \
	:: d_step { cuts < CUTS && CONNECTED(A) -> event = CUT; n = A } \
	:: d_step { parent[A] == NOBODY && !dead && MAY_JOIN(A) -> event = JOIN; n = A; p = PROXY } \
	MISSES(ROOT, A) \
	MISSES(PROXY, A) \
	EVICTS(ROOT, A) \
	EVICTS(PROXY, A)
#define MAY_JOIN(who) (number[who] < 3)

#if ISOLATE && CUTS
#define FAILURES ISOLATING CUTTING FAILING_LEAF(A) FAILING_LEAF(B)
#elif ISOLATE
#define FAILURES ISOLATING FAILING_LEAF(A) FAILING_LEAF(B)
#elif CRASH_PROXY && CUTS
#define FAILURES CRASHES CUTTING FAILING_LEAF(A) FAILING_LEAF(B)
#elif CRASH_PROXY
#define FAILURES CRASHES FAILING_LEAF(A) FAILING_LEAF(B)
#elif CUTS
#define FAILURES CUTTING FAILING_LEAF(A)
#endif

// Who is cut off, and has not been missed or evicted yet, stands in the way.
#define IN_THE_WAY(n, c) (SEEN(n, c) == AWAY || (SEEN(n, c) == HERE && broken[LINE(c, n)]))
#define FROZEN (IN_THE_WAY(ROOT, PROXY) || IN_THE_WAY(ROOT, A) || IN_THE_WAY(ROOT, B) || IN_THE_WAY(PROXY, A))
