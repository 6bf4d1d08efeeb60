/** ⑥ The dashboard's entry: routes, and the cache of what the API answered. */

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { lazy, StrictMode, Suspense } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter, Navigate, Route, Routes } from "react-router";

import { ApiError } from "./api/client";
import { useProjects } from "./api/queries";
import { Problem } from "./components/Problem";
import { Shell } from "./components/Shell";
import { Skeleton } from "./components/Skeleton";
import { ListScreen } from "./screens/list/ListScreen";
import { NotFoundScreen } from "./screens/NotFoundScreen";
import { RunsScreen } from "./screens/runs/RunsScreen";
import "./styles/index.css";

const ExampleScreen = lazy(() => import("./screens/example/ExampleScreen"));
const ReviewScreen = lazy(() => import("./screens/review/ReviewScreen"));
const CompareScreen = lazy(() => import("./screens/compare/CompareScreen"));
const ReportScreen = lazy(() => import("./screens/report/ReportScreen"));

const MAX_RETRIES = 2;

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // What the server refused once it refuses again; only silence and its own faults are worth another try.
      retry: (failures, error) => !(error instanceof ApiError && error.status < 500) && failures < MAX_RETRIES,
    },
  },
});

function FirstProject() {
  const { data, error, isError, refetch } = useProjects();
  if (data === undefined) return isError ? <Problem error={error} retry={refetch} /> : <Skeleton />;
  return <Navigate to={`/projects/${data.items[0]?.name ?? "default"}`} replace />;
}

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");

createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <BrowserRouter>
        <Suspense fallback={<Skeleton lines={8} />}>
          <Routes>
            <Route element={<Shell />}>
              <Route path="/" element={<FirstProject />} />
              <Route path="/projects/:project" element={<RunsScreen />} />
              <Route path="/projects/:project/taggings/:taggingId" element={<ListScreen />} />
              <Route path="/projects/:project/taggings/:taggingId/review" element={<ReviewScreen />} />
              <Route path="/projects/:project/taggings/:taggingId/report" element={<ReportScreen />} />
              <Route path="/projects/:project/taggings/:taggingId/compare" element={<CompareScreen />} />
              <Route path="/projects/:project/taggings/:taggingId/examples/:index" element={<ExampleScreen />} />
              <Route path="*" element={<NotFoundScreen />} />
            </Route>
          </Routes>
        </Suspense>
      </BrowserRouter>
    </QueryClientProvider>
  </StrictMode>,
);
