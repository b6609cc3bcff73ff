/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The wakeup protocol, the queue and the state word, for spin. README.md in this folder tells what
 * is modelled and how the macros choose. Names in comments are those of the functions of the
 * library that a piece stands for. */

#ifndef OPS
#define OPS 2                   /* what each producer does at most */
#endif
#ifndef PRODUCERS
#define PRODUCERS 1
#endif
#ifndef WHIMS
#define WHIMS 2                 /* odd things that those who iterate do */
#endif

#define N_BH    2
#define N_QUEUE 12

/* AioBH.state */
#define NORMAL  1
#define HOLD    2
#define IDLE    4
#define PENDING (NORMAL | IDLE)
byte state[N_BH];
bool deleted[N_BH];             /* AioBH.life; 1 is deleted in the callback of 0, if at all */

/* The entries in the order of their pushes. Those before tail are consumed. */
byte entry[N_QUEUE];
bool linked[N_QUEUE];
byte head, tail;

/* AioNotify */
mtype = { AWAKE, ASLEEP, NOTIFIED };
mtype flag = AWAKE;
bool readable;                  /* the descriptor */

/* What the properties are about. */
bool want[N_BH];                /* something was published for it and not seen yet */
bool cancelled[N_BH];           /* a cancel has come behind the last schedule */
bool asked;                     /* an iteration was asked for by a bare notification */
byte in_queue[N_BH];
bool sleeping;                  /* the home thread is in poll(), and nothing wakes it by itself */
bool in_handler;                /* a signal handler has interrupted the home thread */
byte passes;                    /* on the stack of the home thread */

/* --- Producers -------------------------------------------------------------------------------- */

/* aio_notify_begin_wake() */
inline begin_wake ()
{
#ifdef R2_SKIP_WHILE_DISPATCHING
  atomic { mine = (flag == ASLEEP && passes == 0) };
#else
  mine = (flag == ASLEEP);
#endif
  if
  :: mine ->
     atomic
     {
#ifdef R6_WIPE
       mine = (flag == ASLEEP);
       flag = AWAKE
#else
       if
       :: flag == ASLEEP -> flag = AWAKE
       :: else -> mine = false
       fi
#endif
     }
  :: else
  fi
}

/* aio_bh_push(): swap the head, look at the flag, link, write. */
inline push (b)
{
  d_step
  {
    place = head;
    assert (head < N_QUEUE);
    entry[head] = b;
    head++;
    in_queue[b]++;
    assert (in_queue[b] <= 1)
  }
  begin_wake ();
  linked[place] = true;
  if
  :: mine -> readable = true
  :: else
  fi
}

inline promote ()
{
  begin_wake ();
  if
  :: mine -> readable = true
  :: else
  fi
}

/* aio_bh_schedule() */
inline schedule (b)
{
  want[b] = true;
  d_step { old = state[b]; state[b] = NORMAL; cancelled[b] = false };
  if
#ifdef DOUBLE_PUSH
  :: !(old & NORMAL) -> push (b)
  :: else
#else
  :: old == 0 -> push (b)
  :: old != 0 && !(old & NORMAL) -> promote ()
  :: else
#endif
  fi
}

/* aio_bh_schedule_idle() */
inline schedule_idle (b)
{
  want[b] = true;
  d_step { old = state[b]; state[b] = state[b] | IDLE; cancelled[b] = false };
  if
  :: old == 0 -> push (b)
  :: old == HOLD -> promote ()
  :: else
  fi
}

/* aio_bh_cancel() */
inline cancel (b)
{
  if
  :: (state[b] & PENDING) && !deleted[b] ->
     d_step { old = state[b]; state[b] = HOLD; cancelled[b] = true };
     if
     :: old == 0 -> push (b)
     :: else
     fi
  :: else
  fi
}

/* aio_notify_poke() */
inline notify ()
{
  asked = true;
  atomic { mine = (flag == ASLEEP); flag = NOTIFIED };
  if
  :: mine -> readable = true
  :: else
  fi
}

inline anything ()
{
  if
  :: schedule (0)
  :: schedule (1)
#ifndef SIMPLE
  :: schedule_idle (1)
  :: cancel (1)
  :: notify ()
#endif
  fi
}

proctype Producer ()
{
  byte old, place, n;
  bool mine;

  do
  :: n < OPS -> anything (); n++
  :: break
  od
}

/* Home does not go on before it is over. It is over when it is over: handlers do not wait. */
proctype Handler ()
{
  byte old, place;
  bool mine;

  in_handler = true;
  anything ();
  in_handler = false
}

/* --- The home thread -------------------------------------------------------------------------- */

#define NOTHING 0
#define ONLY_IDLE 1
#define HOLE    2
#define WORK    3

/* aio_bh_set_look(), with sweep_front() */
inline look ()
{
  found = NOTHING;
  last = head;
  at = tail;
  do
  :: at == last -> break
  :: at != last && !linked[at] ->
#ifdef HOLE_IS_NOTHING
     break
#else
     found = HOLE;
     break
#endif
  :: at != last && linked[at] ->
     b = entry[at];
     seen = state[b];
     if
     :: deleted[b] -> at++
     :: !deleted[b] && (seen & NORMAL) -> found = WORK; break
     :: !deleted[b] && !(seen & NORMAL) && (seen & IDLE) -> found = ONLY_IDLE; at++
     :: !deleted[b] && !(seen & PENDING) && at != tail -> at++
     :: !deleted[b] && !(seen & PENDING) && at == tail ->
        /* Released, if it is still cancelled. */
        d_step
        {
          if
#ifdef SWEEP_WITHOUT_LOOKING
          :: true ->
#else
          :: state[b] == HOLD ->
#endif
             state[b] = 0;
             in_queue[b]--;
             tail++;
             at++
          :: else
          fi
        }
     fi
  od
}

/* aio_notify_lower() */
inline lower ()
{
  d_step
  {
    notified = notified || (flag == NOTIFIED);
    flag = AWAKE;
    parked = false
  }
}

/* aio_context_park(): look, raise, look again. */
inline park ()
{
  look ();
  ready = false;
  forever = false;
  if
  :: found >= HOLE -> lower ()
  :: found < HOLE ->
     d_step
     {
       if
       :: flag == NOTIFIED -> flag = AWAKE; notified = true
       :: else -> flag = ASLEEP; parked = true
       fi
     };
     if
     :: parked ->
#ifndef NO_SECOND_LOOK
        look ();
#endif
        if
        :: found >= HOLE -> lower ()
        :: else -> forever = (found == NOTHING)
        fi
     :: else
     fi
  fi;
  ready = (found == WORK)
}

/* Until the descriptor is readable, or time is over. */
inline sleep ()
{
#ifdef R3_LATE_DRAIN
  readable = false;
#endif
  if
  :: ready || notified || !parked -> skip
  :: else ->
     if
     :: forever ->
        atomic { sleeping = !readable; };
end_asleep:
        atomic { readable -> sleeping = false }
     :: !forever
     fi
  fi
}

inline drain ()
{
#ifndef R3_LATE_DRAIN
  readable = false
#else
  skip
#endif
}

/* release() and run_bh(), up to the callback. */
inline take ()
{
  d_step { b = entry[tail]; tail++; in_queue[b]-- };
  if
  :: deleted[b] -> seen = 0
  :: else ->
#ifdef RELEASE_STORES
     seen = state[b];
     state[b] = 0;
#else
     d_step { seen = state[b]; state[b] = 0 };
#endif
  fi;
#ifdef RUN_DELETED
  seen = state[b] | seen;
#endif
  if
  :: seen & PENDING ->
     assert (!deleted[b]);
     want[b] = false
  :: else
  fi
}

/* Between prepare and poll, or between two looks of a loop, somebody polls the context without
 * blocking: aio_context_enter() … aio_context_leave(). */
inline begin_visit ()
{
  d_step
  {
    visited = parked;
    was_notified = notified;
    notified = false
  };
  if
  :: visited -> lower ()
  :: else
  fi
}

/* repark() */
inline end_visit ()
{
  if
  :: visited ->
#ifndef R5_EAT
     if
     :: !notified && !swallowed ->
        d_step
        {
          if
          :: flag == NOTIFIED -> flag = AWAKE; notified = true
          :: else -> flag = ASLEEP
          fi
        };
        if
        :: !notified -> look ()
        :: else
        fi;
        if
        :: notified || found != NOTHING -> lower (); readable = true
        :: else
        fi
     :: else -> readable = true
     fi;
#endif
     parked = true
  :: else
  fi;
  notified = notified || was_notified
}

proctype Home () provided (!in_handler)
{
  byte b, seen, found, last, at;
  byte ends, outer_ends;        /* where the pass ends; where the interrupted one does */
  byte whims = WHIMS;
  bool parked, ready, notified, forever, nested;
  bool own_poll, took;          /* an entry */
  bool pending_dispatch;        /* GLib: check() or prepare() said TRUE, and no dispatch() came */
  bool visiting, visited, was_notified, swallowed;

iterate:
  /* Whoever iterates looks at what the notification was for. */
  asked = false;
  notified = false;
  if
#ifndef MAIN_ONLY
  :: !pending_dispatch -> goto own
#endif
#ifndef OWN_ONLY
  :: !nested -> goto main_loop
#endif
  fi;

own:
  /* iterate_entered(): a poll that blocks until something ran, or was asked for. */
  own_poll = true;
  park ();
  sleep ();
  lower ();
  drain ();
  goto pass;

main_loop:
  own_poll = false;
  if
  :: !pending_dispatch -> park (); pending_dispatch = ready
  :: else -> ready = true
  fi;
  if
  :: whims > 0 -> whims--; goto visit
  :: true
  fi;
poll:
  if
  :: pending_dispatch
  :: else -> sleep ()
  fi;
  /* The notification that prepare() took is dispatched. */
  pending_dispatch = pending_dispatch || notified;
  if
  :: whims > 0 && !pending_dispatch ->
     /* G2: check() is not called. Nothing was drained either. */
     whims--;
     goto iterate
  :: true
  fi;
  if
  :: !pending_dispatch ->
     /* check() */
     lower ();
#ifndef NO_DRAIN
     drain ();
#endif
     look ();
     pending_dispatch = (found != NOTHING || notified)
  :: else
  fi;
  if
  :: !pending_dispatch -> goto iterate
  :: whims > 0 && pending_dispatch ->
     /* G3: a source of higher priority is dispatched instead. */
     whims--;
     goto iterate
  :: pending_dispatch ->
     pending_dispatch = false;
     lower ();
#ifndef NO_DRAIN
     drain ();
#endif
     goto pass
  fi;

visit:
  begin_visit ();
  visiting = true;
  swallowed = readable;
  drain ();
  goto pass;

pass:
  /* aio_bh_set_run() */
  ends = head;
  took = false;
  passes++;
  do
  :: tail >= ends -> break
  :: tail < ends && !linked[tail] ->
     /* It is waited for; or that takes too long, and the next iteration goes on. */
     if
     :: linked[tail]
     :: break
     fi
  :: tail < ends && linked[tail] ->
     take ();
     took = true;
     if
     :: (seen & PENDING) && b == 0 ->
        /* The callback of 0: may delete 1, may iterate until there is nothing for 0 and 1. */
        if
        :: true
#ifdef DELETES
        :: !deleted[1] ->
           deleted[1] = true;
           d_step { seen = state[1]; state[1] = NORMAL };
           want[1] = false
#endif
#ifdef NESTS
        :: !nested && !visiting && want[1] ->
           outer_ends = ends;
           nested = true;
           goto iterate
#endif
        fi
     :: else
     fi
  od;
  passes--;
  if
  :: visiting ->
     visiting = false;
     asked = false;
     end_visit ();
     goto poll
  :: !visiting && nested && (!want[1] || cancelled[1]) ->
     /* The nested iteration has what it wanted; the interrupted pass goes on. */
     nested = false;
     asked = false;
     passes--;
     goto outer_pass
  :: !visiting && !(nested && (!want[1] || cancelled[1])) ->
     if
     :: own_poll && !took && !notified -> goto own
     :: else -> goto iterate
     fi
  fi;

outer_pass:
  passes++;
  do
  :: tail >= outer_ends -> break
  :: tail < outer_ends && !linked[tail] -> break
  :: tail < outer_ends && linked[tail] -> take ()
  od;
  passes--;
  goto iterate
}

/* When nobody can do anything any more, nothing may be left to do. */
proctype Judge ()
{
  byte i;

end:
  timeout ->
     assert (sleeping);
     assert (!asked);
     do
     :: i < N_BH ->
        assert (deleted[i] || !(state[i] & PENDING));
        assert (deleted[i] || cancelled[i] || !want[i]);
        i++
     :: else -> break
     od
}

init
{
  byte i;

  atomic
  {
    run Home ();
    do
    :: i < PRODUCERS -> run Producer (); i++
    :: else -> break
    od;
#ifdef HANDLER
    run Handler ();
#endif
#ifndef CALM
    run Judge ()
#endif
  }
}

#ifdef CALM
/* Sooner or later the home thread sleeps for good. */
ltl calm { <> [] sleeping }
#endif
