// SPDX-License-Identifier: MIT
// What happens when a root dies and is started anew on its storage (F2, F3, F4, F6, R13). One block; a root; two leaves
// that are its children. hvfs.pml says how such a model is to be read. Here, besides: a link that breaks may be resumed;
// evictions are kept beside the storage; children have names, under which they are evicted, and take new ones.
//
// Time is not counted: the lease of a leaf that is cut off may end at any moment, and a grace time lasts until all leases that
// the root before may have given are over. A version says what the protocol knows of some bytes; "content" is what only the
// observer knows: a number for each write, so that old bytes under a new version do not pass.
//
// Four rules were found with this model: NAME_UNTIL_HEARD, BESIDE_CLAIM, READ_TO_THE_END, EARLIER_ROOTS (check.py says what
// they are). Left out: a proxy (recovery.pml), a claim that moves a block
// while its holder is connected, a root's own use of the block, a stop in good order.

#define BROKEN(rule) c_expr { broken == BREAK_##rule }
c_decl { int broken; }

#ifndef WRITES
#define WRITES 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef CUTS
#define CUTS 1
#endif

#ifndef READERS // who reads
#define READERS NOBODY
#endif
#define READS(who) ((who) == READERS || READERS == BOTH)
#define NOBODY 2
#define BOTH 3

#define A 0
#define B 1
#define OTHER(n) (1 - (n))

#define NO 0
#define READ 1
#define WRITE 2

#define CLEAN 0
#define DIRTY 1
#define SENT 2 // FLUSH or RECOVER with these bytes is under way
#define UNSTABLE 3
#define COMMITTING 4 // a barrier that covers it is under way

#define HERE 0
#define AWAY 1
#define OVER 2

#define EPOCH 32 // versions of one epoch
#define GAP 8    // of an eviction

mtype = { GET, FLUSH, ANSWER, BARRIER, CLAIM, BYTES, NAME, /* down: */ GRANT, INVALIDATE, FLUSHED, SYNCED, ACCEPTED, TAKEN, REFUSED, NAMED };

// Permission, version (0: no bytes), content, and one more fact.
chan up[2] = [6] of { mtype, byte, byte, byte, byte };
chan down[2] = [6] of { mtype, byte, byte, byte, byte };
bool cut[2]; // what is said on the link does not arrive; nobody needs to know yet

// ---- What a leaf knows ----

bool linked[2];
byte session[2];    // epoch of the root that it is with: which is a number that no other root uses
byte held[2];
byte version[2];    // of its copy; 0: it has none
byte copy[2];
byte ask[2];
bool barrier[2];
byte claiming[2];   // 0 nothing, else 1 + the permission under which it claims (WRITE), or sends bytes again (READ, NO)
bool was_clean[2];  // what it claims
byte name[2];
byte heard[2];      // the oldest name under which its present session may be on record (F3)
byte from[2];       // ... that of the session whose blocks it claims,
byte under[2];      // ... and the root that it had them from

// ---- What the root knows ----

byte root_version;  // 0: it was started anew, and knows of none
bool root_copy;     // it has bytes of that version
byte granted[2];
byte recalled[2];   // the recall that is open: 1 + what may be left
byte seen[2];
byte wanted[2];     // requested,
byte has[2];        // ... with this version of its own (LOCK), or 0
byte called[2];     // the child's name
bool wrote[2];      // it may have unstable bytes
byte claim[2];      // as claiming[],
byte claimed[2];    // ... its version,
byte claim_content[2];
bool lively[2];     // ... had the claimant's lease not ended?
byte claim_from[2];
byte claim_under[2];
bool early[2];      // ... and did it come in the grace time?
bool grace;         // it serves nothing but claims

// On its storage:
byte disk;          // content
byte epoch;
byte record[2];     // names before this one were evicted
byte since;         // claims of sessions with the roots before this one are void, if their lease is over

// ---- What only the observer knows ----

bool alive[2];      // the lease of what it holds has not ended
byte content[2];    // of a leaf's copy,
byte root_content;  // ... of the root's
byte now;           // what each read must see
byte writes;
byte durable;       // the newest content that a fsync has made durable
byte mine[2];       // a leaf's last write that no fsync has made durable; 0: none
bool given_up[2];   // recalled since: somebody may have written over it
bool owed[2];       // that write is lost, and its author must be told
byte crashes, cuts;

// What a step needs for itself.
byte n, c, p, v, b, x;
bool kept;
mtype event, what;

#define DRAIN(line) do :: len(line) > 0 -> line?_, _, _, _, _ :: else -> break od

inline say_up(message, perm, bytes, inside, fact)
{
	if
	:: linked[n] && !cut[n] -> up[n]!message(perm, bytes, inside, fact)
	:: else
	fi
}

inline say_down(who, message, perm, bytes, inside, fact)
{
	if
	:: seen[who] == HERE && !cut[who] -> down[who]!message(perm, bytes, inside, fact)
	:: else
	fi
}

// ---- Leaves ----

#define FLOOR(v, e) ((v) > (e) * EPOCH -> (v) : (e) * EPOCH)

// R11
inline write_block()
{
	version[n] = FLOOR(version[n], session[n]) + 1;
	copy[n] = DIRTY;
	writes++;
	content[n] = writes;
	now = writes;
	mine[n] = writes
}

inline drop_if_useless()
{
	if
	:: held[n] == NO && copy[n] == CLEAN && !ask[n] -> version[n] = 0; content[n] = 0
	:: else
	fi
}

inline send_flush(keep)
{
	say_up(FLUSH, keep, version[n], content[n], 0);
	copy[n] = SENT
}

inline leaf_recalled()
{
	if
	:: held[n] > p ->
		if :: copy[n] == DIRTY -> send_flush(p) :: else fi;
		held[n] = p;
		given_up[n] = (p == NO);
		drop_if_useless()
	:: else
	fi;
	say_up(ANSWER, p, 0, 0, 0)
}

inline leaf_granted()
{
	held[n] = p;
	given_up[n] = false;
	ask[n] = NO;
	if
	:: v != 0 -> version[n] = v; content[n] = b; copy[n] = (copy[n] == COMMITTING -> UNSTABLE : copy[n])
	:: else -> assert(version[n] != 0)
	fi;
	if :: alive[n] && p == WRITE && writes < WRITES -> write_block() :: else fi
}

inline leaf_flushed()
{
	if
	:: copy[n] == SENT && version[n] == v && BROKEN(KEEP_UNSTABLE) -> copy[n] = CLEAN
	:: copy[n] == SENT && version[n] == v && !BROKEN(KEEP_UNSTABLE) -> copy[n] = UNSTABLE
	:: else
	fi;
	drop_if_useless()
}

inline leaf_synced()
{
	barrier[n] = false;
	if
	:: copy[n] == COMMITTING ->
		assert(disk >= mine[n] && !owed[n]); // G2; F2: nothing is lost silently
		durable = (mine[n] > durable -> mine[n] : durable);
		mine[n] = 0;
		copy[n] = CLEAN;
		drop_if_useless()
	:: else
	fi
}

// ---- Leaves: links ----

inline lose()
{
	DRAIN(down[n]);
	linked[n] = false;
	ask[n] = NO;
	barrier[n] = false;
	copy[n] = (copy[n] == SENT -> DIRTY : (copy[n] == COMMITTING -> UNSTABLE : copy[n]))
}

// "x": how the root saw it until now.
#define RESUMED (x != OVER && session[n] == epoch && !claiming[n])

// CONNECT and its answer are one step: nothing else is under way on a new link.
inline join()
{
	DRAIN(up[n]);
	DRAIN(down[n]);
	x = seen[n];
	cut[n] = false;
	linked[n] = true;
	seen[n] = HERE;
	called[n] = name[n];
	forget(n);
	if
	:: RESUMED || BROKEN(NEW_SESSION) ->
		if :: held[n] == READ && !alive[n] -> held[n] = NO; given_up[n] = true :: else fi;
		alive[n] = true;
		drop_if_useless();
		if :: copy[n] == DIRTY && held[n] != WRITE -> send_flush(held[n]) :: else fi // again: it may have been lost
	:: else ->
		granted[n] = NO;
		if :: !claiming[n] -> from[n] = heard[n]; under[n] = session[n] :: else fi;
		session[n] = epoch;
		recover()
	fi;
	heard[n] = called[n]
}

// Fact of CLAIM and BYTES.
#define FACT(n) (alive[n] + 2 * (BROKEN(NAME_UNTIL_HEARD) -> name[n] : from[n]) + 16 * under[n])
#define X_LIVE(x) ((x) & 1)
#define X_FROM(x) (((x) >> 1) & 7)
#define X_UNDER(x) ((x) >> 4)

inline send_bytes(perm)
{
	claiming[n] = perm + 1;
	x = FACT(n);
	say_up(BYTES, perm, version[n], content[n], x);
	held[n] = NO;
	copy[n] = SENT
}

// WRITE is claimed, bytes that may be lost are sent again, READ is given up (F3). What was clean goes up again only if
// the parent turns out not to have it.
inline recover()
{
	if
	:: held[n] == WRITE ->
		was_clean[n] = (copy[n] == CLEAN || (was_clean[n] && copy[n] == UNSTABLE));
		copy[n] = (was_clean[n] -> UNSTABLE : DIRTY);
		claiming[n] = WRITE + 1;
		x = FACT(n);
		say_up(CLAIM, WRITE, version[n], content[n], x)
	:: held[n] != WRITE && copy[n] != CLEAN && (held[n] == READ || (claiming[n] == READ + 1 && !BROKEN(READ_TO_THE_END))) ->
		send_bytes(READ)
	:: held[n] != WRITE && copy[n] != CLEAN && !(held[n] == READ || (claiming[n] == READ + 1 && !BROKEN(READ_TO_THE_END))) ->
		send_bytes(NO)
	:: else ->
		held[n] = NO;
		drop_if_useless();
		alive[n] = true;
		name[n] = (BROKEN(NEW_NAME) -> name[n] : name[n] + 1); // the root hears it before any request
		called[n] = name[n]
	fi
}

// Nothing is claimed any more: what is held from now on is held under a new name. The root has it when it says so.
inline recovered()
{
	claiming[n] = 0;
	was_clean[n] = false;
	alive[n] = (seen[n] != OVER);
	if
	:: !BROKEN(NEW_NAME) ->
		name[n]++;
		say_up(NAME, 0, 0, 0, name[n])
	:: else
	fi
}

// The root has version v.
inline leaf_accepted()
{
	if
	:: v < version[n] -> copy[n] = DIRTY
	:: v >= version[n] && was_clean[n] && copy[n] == UNSTABLE -> copy[n] = CLEAN
	:: else
	fi;
	recovered()
}

inline leaf_refused()
{
	if
	:: claiming[n] == WRITE + 1 ->
		assert(!alive[n]); // G4: not to an author in good standing
		held[n] = NO;
		copy[n] = (was_clean[n] -> CLEAN : copy[n]);
		was_clean[n] = false;
		drop_if_useless();
		if
		:: copy[n] != CLEAN -> send_bytes(NO)
		:: else -> recovered()
		fi
	:: else -> // to the rescue file; the next fsync fails
		assert(!alive[n] || given_up[n]); // G4
		copy[n] = CLEAN;
		mine[n] = 0;
		owed[n] = false;
		drop_if_useless();
		recovered()
	fi
}

// ---- The root ----

// What waits for child c, and what is open to it.
inline forget(child)
{
	wanted[child] = NO;
	has[child] = 0;
	recalled[child] = 0;
	claim[child] = 0
}

inline lower(who, most)
{
	if
	:: granted[who] > most && recalled[who] == 0 && seen[who] == HERE ->
		recalled[who] = most + 1;
		say_down(who, INVALIDATE, most, 0, 0, 0)
	:: else
	fi
}

// From here on the root's content is what everybody sees. What is not in it is lost.
inline use_content()
{
	assert(root_content >= durable); // G2
	now = root_content;
	lost_by(A);
	lost_by(B)
}

inline lost_by(who)
{
	if
	:: mine[who] > root_content ->
		assert(!alive[who] || given_up[who]); // G4
		owed[who] = true
	:: else
	fi
}

inline take_bytes()
{
	if
	:: v > root_version -> root_version = v; root_content = b; root_copy = true
	:: else
	fi
}

// Is another claim of the same kind newer?
#define NEWEST(c) (!(claim[OTHER(c)] == WRITE + 1 && early[OTHER(c)] && claimed[OTHER(c)] > claimed[c]))
#define NOBODY_HAS_IT (granted[A] == NO && granted[B] == NO)
#define VOID(c) ((claim_from[c] < record[c] && !BROKEN(EVICTED_REFUSED)) || \
	(!lively[c] && claim_under[c] < since && !BROKEN(EARLIER_ROOTS)))

inline refuse()
{
	claim[c] = 0;
	say_down(c, REFUSED, 0, 0, 0, 0)
}

inline accept()
{
	claim[c] = 0;
	wrote[c] = true;
	granted[c] = WRITE;
	say_down(c, ACCEPTED, WRITE, (grace -> 0 : root_version), 0, 0);
	root_version = (root_version == 0 -> 1 : root_version) // older than anything that is claimed
}

inline taken()
{
	if
	:: claimed[c] > root_version -> root_version = claimed[c]; root_content = claim_content[c]; root_copy = true
	:: else
	fi;
	wrote[c] = true;
	claim[c] = 0;
	say_down(c, TAKEN, 0, claimed[c], 0, 0)
}

// Bytes that were recalled under an earlier root: somebody may have written over them. Who did has newer ones, and has
// brought them, or may still do so.
#define IS_SUPERSEDED (early[c] && ((!grace && root_copy && root_version >= claimed[c]) || BROKEN(RECALLED_BYTES_WAIT) || \
	(!grace && granted[OTHER(c)] == WRITE && BROKEN(BESIDE_CLAIM))))
#define CLAIMED_BY_OTHER (granted[OTHER(c)] == WRITE)

// claim.c
inline serve_claim()
{
	if
	:: claim[c] == 0
	:: claim[c] && VOID(c) -> refuse()
	:: claim[c] == WRITE + 1 && !VOID(c) -> // nothing is granted to c: its session is new
		if
		:: (!early[c] && claimed[c] < root_version) || granted[OTHER(c)] == READ ||
			(granted[OTHER(c)] == WRITE && seen[OTHER(c)] == HERE) -> refuse()
		:: !(!early[c] && claimed[c] < root_version) && granted[OTHER(c)] == WRITE && seen[OTHER(c)] != HERE // waits
		:: !(!early[c] && claimed[c] < root_version) && NOBODY_HAS_IT ->
			if
			:: !early[c] -> refuse()
			:: early[c] && ((grace && !lively[c]) || !NEWEST(c)) // waits
			:: else -> accept()
			fi
		fi
	:: (claim[c] == READ + 1 || claim[c] == NO + 1) && !VOID(c) ->
		if
		:: claim_under[c] == epoch || (early[c] && claim[c] == READ + 1) || IS_SUPERSEDED -> taken()
		:: else ->
			if
			:: early[c] && (grace || CLAIMED_BY_OTHER) // waits
			:: else ->
				assert(!(early[c] && lively[c]) || given_up[c]); // G4: nobody can have written over it
				refuse()
			fi
		fi
	fi
}

#define READY (granted[OTHER(c)] <= (wanted[c] == WRITE -> NO : READ) && recalled[c] == 0)

inline serve_request()
{
	if
	:: wanted[c] == NO || grace || claim[A] || claim[B]
	:: else ->
		lower(OTHER(c), (wanted[c] == WRITE -> NO : READ));
		if
		:: READY ->
			root_version = (root_version == 0 -> epoch * EPOCH : root_version);
			root_copy = true;
			if :: granted[c] != WRITE -> use_content() :: else fi;
			p = (granted[c] > wanted[c] -> granted[c] : wanted[c]);
			if
			:: granted[c] >= READ && has[c] == root_version -> say_down(c, GRANT, p, 0, 0, 0) // R5, T5
			:: else -> say_down(c, GRANT, p, root_version, root_content, 0)
			fi;
			granted[c] = p;
			wrote[c] = wrote[c] || p == WRITE;
			wanted[c] = NO;
			has[c] = 0
		:: else
		fi
	fi
}

inline advance()
{
	c = A;
	serve_claim();
	c = B;
	serve_claim();
	c = A;
	serve_claim(); // B's may have been in its way
	serve_request();
	c = B;
	serve_request();
	c = A;
	serve_request()
}

inline on_up()
{
	up[c]?what, p, v, b, x;
	if
	:: what == GET -> wanted[c] = p; has[c] = v
	:: what == FLUSH ->
		assert(granted[c] == WRITE || root_version >= v); // R6
		take_bytes();
		granted[c] = (granted[c] > p -> p : granted[c]);
		say_down(c, FLUSHED, 0, v, 0, 0)
	:: what == ANSWER ->
		if
		:: recalled[c] == p + 1 ->
			recalled[c] = 0;
			granted[c] = (granted[c] > p -> p : granted[c])
		:: else
		fi
	:: what == BARRIER ->
		disk = root_content;
		say_down(c, SYNCED, 0, 0, 0, 0)
	:: what == NAME ->
		called[c] = x;
		say_down(c, NAMED, 0, 0, 0, x)
	:: what == CLAIM || what == BYTES ->
		claim[c] = p + 1;
		claimed[c] = v;
		claim_content[c] = b;
		lively[c] = X_LIVE(x);
		claim_from[c] = X_FROM(x);
		claim_under[c] = X_UNDER(x);
		early[c] = grace
	fi
}

inline on_down()
{
	down[n]?what, p, v, b, x;
	if
	:: what == GRANT -> leaf_granted()
	:: what == INVALIDATE -> leaf_recalled()
	:: what == FLUSHED -> leaf_flushed()
	:: what == SYNCED -> leaf_synced()
	:: what == ACCEPTED -> leaf_accepted()
	:: what == TAKEN -> copy[n] = UNSTABLE; recovered()
	:: what == REFUSED -> leaf_refused()
	:: what == NAMED -> heard[n] = x
	fi
}

// F2. What a child had for reading is treated likewise if it may have unstable bytes.
inline evict()
{
	seen[c] = OVER;
	recalled[c] = 0;
	if
	:: (granted[c] == WRITE || (wrote[c] && !BROKEN(READERS_TOO))) && !BROKEN(RECORD) -> record[c] = called[c] + 1
	:: else
	fi;
	if
	:: granted[c] == WRITE -> root_version = FLOOR(root_version, epoch) + GAP
	:: else
	fi;
	granted[c] = NO
}

// ---- Failures ----

// kept: what was written, but no barrier asked for, has reached the disk all the same.
inline crash()
{
	crashes++;
	disk = (kept -> root_content : disk);
	root_content = disk;
	root_version = 0;
	root_copy = false;
	epoch++;
	grace = true;
	c = A;
	do
	:: c <= B ->
		cut[c] = true;
		DRAIN(up[c]);
		seen[c] = OVER;
		granted[c] = NO;
		wrote[c] = false;
		called[c] = 0;
		forget(c);
		early[c] = false;
		c++
	:: else -> break
	od
}

// Claims of before are void for every root that follows: that is on record before the first request is served.
inline end_grace()
{
	grace = false;
	since = epoch
}

// ---- What is always true ----

#define READABLE(n) (alive[n] && held[n] >= READ && !claiming[n])
#define WRITABLE(n) (alive[n] && held[n] == WRITE && !claiming[n])
#define CONNECTED(n) (linked[n] && !cut[n])
#define WAITS(n) (ask[n] || barrier[n] || (claiming[n] && !(claim[n] == NO + 1 && granted[OTHER(n)] == WRITE))) // dirty copies go up
#define SILENT (len(up[A]) + len(up[B]) + len(down[A]) + len(down[B]) == 0)

inline check()
{
	assert((!READABLE(A) || content[A] == now) && (!READABLE(B) || content[B] == now)); // I4, G1
	assert(!(WRITABLE(A) && READABLE(B)) && !(WRITABLE(B) && READABLE(A))); // I2
	assert(SILENT && CONNECTED(A) && CONNECTED(B) && !grace -> !WAITS(A) && !WAITS(B) : true); // no deadlock
	n = 0; c = 0; p = 0; v = 0; b = 0; x = 0; kept = 0; event = 0; what = 0
}

// ---- What may happen ----

mtype = { FROM_BELOW, FROM_ABOVE, WANT, MODIFY, BRING_UP, SYNC, /* failures: */ CRASH, CUT, GRACE_END, LOSE, MISS, LAPSE, JOIN, EVICT };

// The lease that a root before this one gave to n.
#define OLD_LEASE(n) (alive[n] && (session[n] != epoch || claiming[n]))
#define MAY_EVICT(n) (seen[n] == AWAY && granted[n] != NO && (!alive[n] || BROKEN(LEASE)) && \
	!grace && (wanted[OTHER(n)] || claim[OTHER(n)] == WRITE + 1))

#define LEAF(who) \
	:: d_step { len(up[who]) > 0 -> event = FROM_BELOW; c = who } \
	:: d_step { linked[who] && len(down[who]) > 0 -> event = FROM_ABOVE; n = who } \
	:: d_step { CONNECTED(who) && !ask[who] && !claiming[who] && held[who] == NO && READS(who) -> event = WANT; n = who; p = READ } \
	:: d_step { CONNECTED(who) && !ask[who] && !claiming[who] && held[who] < WRITE && writes < WRITES -> event = WANT; n = who; p = WRITE } \
	:: d_step { WRITABLE(who) && writes < WRITES -> event = MODIFY; n = who } \
	:: d_step { CONNECTED(who) && !claiming[who] && held[who] == WRITE && copy[who] == DIRTY -> event = BRING_UP; n = who } \
	:: d_step { CONNECTED(who) && !claiming[who] && copy[who] == UNSTABLE && !barrier[who] -> event = SYNC; n = who } \
	:: d_step { who == A && linked[who] && !cut[who] && cuts < CUTS -> event = CUT; n = who } \
	:: d_step { linked[who] && cut[who] -> event = LOSE; n = who } \
	:: d_step { seen[who] == HERE && cut[who] -> event = MISS; c = who } \
	:: d_step { alive[who] && (!CONNECTED(who) || claiming[who]) -> event = LAPSE; n = who } \
	:: d_step { !linked[who] -> event = JOIN; n = who } \
	:: d_step { MAY_EVICT(who) -> event = EVICT; c = who }

inline happen()
{
	if
	:: event == FROM_BELOW -> on_up()
	:: event == FROM_ABOVE -> on_down()
	:: event == WANT -> ask[n] = p; say_up(GET, p, version[n], 0, 0)
	:: event == MODIFY -> write_block()
	:: event == BRING_UP -> send_flush(WRITE)
	:: event == SYNC ->
		barrier[n] = true;
		copy[n] = COMMITTING;
		say_up(BARRIER, 0, 0, 0, 0)
	:: event == CRASH -> crash()
	:: event == GRACE_END -> end_grace()
	:: event == CUT -> cuts++; cut[n] = true
	:: event == LOSE -> lose()
	:: event == MISS ->
		seen[c] = AWAY;
		DRAIN(up[c]);
		forget(c)
	:: event == LAPSE -> alive[n] = false
	:: event == JOIN -> join()
	:: event == EVICT -> evict()
	fi
}

// For check.py --trace.
#define TELL_NODE(n) printf("   %d: linked %d alive %d held %d version %d content %d copy %d ask %d claiming %d name %d mine %d owed %d; root: seen %d granted %d claim %d record %d\n", \
	n, linked[n], alive[n], held[n], version[n], content[n], copy[n], ask[n], claiming[n], name[n], mine[n], owed[n], seen[n], granted[n], claim[n], record[n])
#define TELL_STATE printf("   (%d p=%d v=%d x=%d) now %d; root: version %d content %d disk %d epoch %d grace %d\n", \
	what, p, v, x, now, root_version, root_content, disk, epoch, grace); TELL_NODE(A); TELL_NODE(B)

init {
	d_step {
		c_code { broken = getenv("BROKEN") ? atoi(getenv("BROKEN")) : 0; };
		root_version = 1;
		root_copy = true;
		linked[A] = true;
		linked[B] = true;
		alive[A] = true;
		alive[B] = true
	}
end:
	do
	:: atomic {
		if
		LEAF(A)
		LEAF(B)
		:: d_step { crashes < CRASHES -> event = CRASH; kept = false }
		:: d_step { crashes < CRASHES && root_content != disk -> event = CRASH; kept = true }
		:: d_step { grace && ((!OLD_LEASE(A) && !OLD_LEASE(B)) || BROKEN(GRACE)) -> event = GRACE_END }
		fi;
		d_step {
			printf("## %d n=%d c=%d p=%d\n", event, n, c, p);
			happen();
			advance();
			TELL_STATE;
			check()
		}
	}
	od
}
