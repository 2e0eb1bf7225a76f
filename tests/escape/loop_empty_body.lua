-- expect: KILLED
-- A loop whose body is one jump.
::again:: goto again
